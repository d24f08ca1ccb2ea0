"""Stripe's webhooks: their signature, and the events that matter here."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from omni.domains.payments.contracts import EventKind, PaymentEvent
from omni.kit.errors import InvalidInput

HEADER = "stripe-signature"
TOLERANCE_SECONDS = 300

_PAYMENT_KINDS = {
    "payment_intent.processing": EventKind.PAYMENT_PENDING,
    "payment_intent.requires_action": EventKind.PAYMENT_REQUIRES_ACTION,
    "payment_intent.payment_failed": EventKind.PAYMENT_FAILED,
    "payment_intent.canceled": EventKind.PAYMENT_FAILED,
    "payment_intent.succeeded": EventKind.PAYMENT_SUCCEEDED,
    "checkout.session.expired": EventKind.PAYMENT_FAILED,
}
_REFUND_TYPES = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
_REFUND_KINDS = {
    "pending": EventKind.REFUND_PENDING,
    "requires_action": EventKind.REFUND_PENDING,
    "succeeded": EventKind.REFUND_SUCCEEDED,
    "failed": EventKind.REFUND_FAILED,
    "canceled": EventKind.REFUND_FAILED,
}
_DISPUTE_TYPES = ("charge.dispute.created", "charge.dispute.closed")
_DISPUTE_KINDS = {"won": EventKind.DISPUTE_WON, "lost": EventKind.DISPUTE_LOST}
_INQUIRIES = ("warning_needs_response", "warning_under_review", "warning_closed")
"""The bank asks; no money has moved."""


def verify(body: bytes, header: str, secrets: Sequence[str], now: datetime) -> None:
    """Refuses a body that Stripe did not sign or signed more than 300 s from now.

    The signature is HMAC-SHA256 over `{t}.{raw body}` (docs.stripe.com, webhooks, "Verify manually"). Raises
    InvalidInput `webhook_signature_invalid`, `webhook_too_old`.
    """
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit()) or not signatures:
        raise _not_signed()
    signed = stamps[0].encode() + b"." + body
    wanted = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    matches = [hmac.compare_digest(w.encode(), s.encode()) for w in wanted for s in signatures]
    if not any(matches):
        raise _not_signed()
    if abs(now.timestamp() - int(stamps[0])) > TOLERANCE_SECONDS:
        raise InvalidInput(
            "webhook_too_old",
            f"The webhook was signed more than {TOLERANCE_SECONDS} s ago. Check the clock, or have it sent again.",
        )


def events(body: bytes) -> tuple[PaymentEvent, ...]:
    """What a verified body tells; nothing for other types. Raises InvalidInput `webhook_malformed`."""
    try:
        event = orjson.loads(body)
        found = _read(event["type"], event["data"]["object"], event)
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InvalidInput(
            "webhook_malformed", "The webhook is not an event of Stripe's API.", internal=repr(error)
        ) from error
    return () if found is None else (found,)


def our_payment_id(subject: Mapping[str, Any]) -> UUID | None:
    """The id of ours that an object carries in its metadata; None for what was not made through Omni."""
    try:
        return UUID((subject.get("metadata") or {}).get("payment_id", ""))
    except ValueError:
        return None


def failure_code(intent: Mapping[str, Any]) -> str:
    """Why the last attempt on a PaymentIntent failed."""
    error = intent.get("last_payment_error") or {}
    return str(error.get("decline_code") or error.get("code") or intent.get("cancellation_reason") or "")


def _read(kind: str, subject: dict[str, Any], event: dict[str, Any]) -> PaymentEvent | None:
    if kind in _PAYMENT_KINDS:
        return _payment(_PAYMENT_KINDS[kind], subject, event)
    if kind in _REFUND_TYPES:
        return _of_payment(_REFUND_KINDS[subject["status"]], subject, event, str(subject.get("failure_reason") or ""))
    if kind in _DISPUTE_TYPES and subject["status"] not in _INQUIRIES:
        made = _DISPUTE_KINDS.get(subject["status"], EventKind.DISPUTE_OPENED)
        return _of_payment(made, subject, event, str(subject.get("reason") or ""))
    if kind == "setup_intent.succeeded":
        return PaymentEvent(
            event["id"],
            EventKind.METHOD_SAVED,
            _moment(event),
            subject=str(subject["payment_method"]),
            customer=str(subject.get("customer") or ""),
        )
    return None


def _payment(kind: EventKind, intent: dict[str, Any], event: dict[str, Any]) -> PaymentEvent:
    amount = intent.get("amount_received") or intent.get("amount") or intent.get("amount_total") or 0
    return PaymentEvent(
        event["id"],
        kind,
        _moment(event),
        str(intent["id"]),
        our_payment_id(intent),
        int(amount),
        str(intent["currency"]).upper(),
        customer=str(intent.get("customer") or ""),
        code=failure_code(intent) if kind == EventKind.PAYMENT_FAILED else "",
    )


def _of_payment(kind: EventKind, subject: dict[str, Any], event: dict[str, Any], code: str) -> PaymentEvent:
    return PaymentEvent(
        event["id"],
        kind,
        _moment(event),
        str(subject.get("payment_intent") or ""),
        our_payment_id(subject),
        int(subject["amount"]),
        str(subject["currency"]).upper(),
        str(subject["id"]),
        code=code,
    )


def _moment(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(event["created"], UTC)


def _not_signed() -> InvalidInput:
    return InvalidInput(
        "webhook_signature_invalid",
        "The signature does not fit the body. Send the body as it was received, and check the signing secret.",
    )
