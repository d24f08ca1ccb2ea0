"""PayPal's webhooks: their signature, and the events that matter here.

PayPal signs transmission id, time, webhook id and the CRC-32 of the body with RSA-SHA256 (developer.paypal.com,
"Integrate webhooks", self verification). A CRC is no digest: who holds a signed transmission can find another body for
it. So what a webhook tells is believed for a payment of ours only; amounts are read again before they are booked.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from omni.domains.payments.contracts import EventKind, PaymentEvent
from omni.domains.payments.providers.paypal.amounts import to_minor
from omni.kit.errors import InvalidInput

TOLERANCE_SECONDS = 300
ORDER = "order:"
"""Marks the id of an order, which becomes a capture once it is paid."""
_ALGORITHM = "SHA256withRSA"
_CAPTURE_KINDS = {
    "PAYMENT.CAPTURE.COMPLETED": EventKind.PAYMENT_SUCCEEDED,
    "PAYMENT.CAPTURE.PENDING": EventKind.PAYMENT_PENDING,
    "PAYMENT.CAPTURE.DECLINED": EventKind.PAYMENT_FAILED,
    "PAYMENT.CAPTURE.DENIED": EventKind.PAYMENT_FAILED,
}
_REFUND_KINDS = {
    "PAYMENT.REFUND.PENDING": EventKind.REFUND_PENDING,
    "PAYMENT.CAPTURE.REFUNDED": EventKind.REFUND_SUCCEEDED,
    "PAYMENT.REFUND.FAILED": EventKind.REFUND_FAILED,
    "PAYMENT.CAPTURE.REVERSED": EventKind.DISPUTE_LOST,
}


def certificate_url(headers: Mapping[str, str], host: str) -> str:
    """Where the certificate is, if that is at PayPal: `host` is the API's, and certificates lie at `api.…` beside it.

    Sandbox and live have hosts of their own, so one cannot sign for the other. Raises InvalidInput
    `webhook_signature_invalid`.
    """
    url, hosts = headers.get("paypal-cert-url", ""), (host, host.replace("api-m.", "api.", 1))
    try:
        parts = urlsplit(url)
        own = parts.scheme == "https" and parts.hostname in hosts and parts.port in (None, 443)
    except ValueError:
        own = False
    if not own or not parts.path.startswith("/v1/notifications/certs/") or parts.username is not None:
        raise not_signed()
    return url


def verify(body: bytes, headers: Mapping[str, str], webhook_id: str, certificate: bytes, now: datetime) -> None:
    """Refuses what PayPal did not sign for this webhook, or more than 300 s from now.

    Raises InvalidInput `webhook_signature_invalid`, `webhook_too_old`.
    """
    sent_at = headers.get("paypal-transmission-time", "")
    signed = f"{headers.get('paypal-transmission-id', '')}|{sent_at}|{webhook_id}|{zlib.crc32(body)}"
    try:
        signature = base64.b64decode(headers.get("paypal-transmission-sig", ""), validate=True)
        found = load_pem_x509_certificate(certificate)
        key = found.public_key()
        if not isinstance(key, RSAPublicKey) or headers.get("paypal-auth-algo") != _ALGORITHM:
            raise not_signed()
        if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
            raise not_signed()
        key.verify(signature, signed.encode(), PKCS1v15(), SHA256())
        sent = datetime.fromisoformat(sent_at)
    except (InvalidSignature, binascii.Error, ValueError):
        raise not_signed() from None
    if sent.tzinfo is None:
        raise not_signed()
    if abs((now - sent).total_seconds()) > TOLERANCE_SECONDS:
        raise InvalidInput(
            "webhook_too_old",
            f"The webhook was signed more than {TOLERANCE_SECONDS} s ago. Check the clock, or have it sent again.",
        )


def events(body: bytes) -> tuple[PaymentEvent, ...]:
    """What a verified body tells; nothing for other types. Raises InvalidInput `webhook_malformed`."""
    try:
        event = orjson.loads(body)
        found = _read(event["event_type"], event["resource"], event)
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(
            "webhook_malformed", "The webhook is not an event of PayPal's API.", internal=repr(error)
        ) from error
    return () if found is None else (found,)


def our_payment_id(custom_id: object) -> UUID | None:
    """The id of ours that a capture or a refund carries; None for what was not made through Omni."""
    try:
        return UUID(str(custom_id))
    except ValueError:
        return None


def capture_of_refund(refund: Mapping[str, Any]) -> str:
    """The id of the capture that a refund gives back: its link `up`."""
    for link in refund.get("links") or ():
        if link.get("rel") == "up":
            return str(link["href"]).rsplit("/", 1)[1]
    return ""


def _read(kind: str, resource: dict[str, Any], event: dict[str, Any]) -> PaymentEvent | None:
    moment = datetime.fromisoformat(event["create_time"])
    if moment.tzinfo is None:
        raise ValueError("create_time has no zone")
    if kind == "CHECKOUT.ORDER.APPROVED":
        unit = resource["purchase_units"][0]
        amount_minor, currency = to_minor(unit["amount"])
        payment_id = our_payment_id(unit.get("custom_id"))
        order = f"{ORDER}{resource['id']}"
        return PaymentEvent(
            event["id"], EventKind.PAYMENT_PENDING, moment, order, payment_id, amount_minor, currency, code="approved"
        )
    if kind == "VAULT.PAYMENT-TOKEN.CREATED":
        customer = resource.get("customer") or {}
        known = str(customer.get("merchant_customer_id") or customer.get("id") or "")
        return PaymentEvent(event["id"], EventKind.METHOD_SAVED, moment, subject=str(resource["id"]), customer=known)
    if kind not in _CAPTURE_KINDS and kind not in _REFUND_KINDS:
        return None
    amount_minor, currency = to_minor(resource["amount"])
    refund = kind in _REFUND_KINDS
    made = _REFUND_KINDS[kind] if refund else _CAPTURE_KINDS[kind]
    reason = str((resource.get("status_details") or {}).get("reason") or "")
    return PaymentEvent(
        event["id"],
        made,
        moment,
        capture_of_refund(resource) if refund else str(resource["id"]),
        our_payment_id(resource.get("custom_id")),
        amount_minor,
        currency,
        str(resource["id"]) if refund else "",
        code="" if made == EventKind.PAYMENT_SUCCEEDED else reason,
    )


def not_signed() -> InvalidInput:
    """One answer for everything that is wrong with a signature."""
    return InvalidInput(
        "webhook_signature_invalid",
        "The signature does not fit the body. Send the body as it was received, and check the webhook's id.",
    )
