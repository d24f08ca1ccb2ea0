"""The port, on PayPal: Orders v2, Payments v2, the vault v3, and Transaction Search for the reconciler.

A payment has its order's id (`order:…`) until it is paid, then its capture's, which refunds ask for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2

from omni.domains.payments.contracts import (
    Charge,
    NewCustomer,
    PaymentEvent,
    PaymentResult,
    PaymentStatus,
    ProviderPayment,
    Refund,
    RefundResult,
    RefundStatus,
    SavedMethod,
    SetupSession,
)
from omni.domains.payments.providers.http import failed
from omni.domains.payments.providers.paypal import webhooks
from omni.domains.payments.providers.paypal.amounts import to_minor, to_money
from omni.domains.payments.providers.paypal.client import PayPalClient, PayPalSettings, Refused
from omni.domains.payments.providers.paypal.webhooks import ORDER
from omni.kit.clock import Clock

_SEARCH_DAYS = 31
_PAGE = 500
_CAPTURE_STATUSES = {
    "COMPLETED": PaymentStatus.SUCCEEDED,
    "PARTIALLY_REFUNDED": PaymentStatus.SUCCEEDED,
    "REFUNDED": PaymentStatus.SUCCEEDED,
    "DECLINED": PaymentStatus.FAILED,
    "FAILED": PaymentStatus.FAILED,
}
_REFUND_STATUSES = {
    "COMPLETED": RefundStatus.SUCCEEDED,
    "FAILED": RefundStatus.FAILED,
    "CANCELLED": RefundStatus.FAILED,
}
_SEARCH_STATUSES = {"S": PaymentStatus.SUCCEEDED, "V": PaymentStatus.SUCCEEDED, "D": PaymentStatus.FAILED}
_PAYMENT_CODES, _REFUND_CODES = ("T00", "T03"), ("T11",)
_PAYERS_NO = frozenset(
    {
        "INSTRUMENT_DECLINED",
        "PAYER_ACCOUNT_LOCKED_OR_CLOSED",
        "PAYER_ACCOUNT_RESTRICTED",
        "PAYER_CANNOT_PAY",
        "TRANSACTION_REFUSED",
        "TOKEN_ID_NOT_FOUND",
    }
)


class PayPal:
    """`PaymentProvider` over an app of PayPal."""

    name = "paypal"

    def __init__(self, http: httpx2.AsyncClient, settings: PayPalSettings, clock: Clock) -> None:
        self._client = PayPalClient(http, settings, clock)
        self._settings = settings
        self._clock = clock
        self._host = urlsplit(settings.base_url).hostname or ""
        self._certificates: dict[str, bytes] = {}

    async def create_customer(self, customer: NewCustomer) -> str:
        """PayPal keeps no customers; what its vault keeps carries the tenant's id."""
        return str(customer.tenant_id)

    async def start_setup(self, customer: str, return_url: str, idempotency_key: str) -> SetupSession:
        wallet = {"usage_type": "MERCHANT", "experience_context": _experience(return_url)}
        token = await self._do(
            "v3/vault/setup-tokens",
            f"setup-{idempotency_key}",
            {"payment_source": {"paypal": wallet}, "customer": {"merchant_customer_id": customer}},
        )
        return SetupSession(token["id"], _link(token, "approve"))

    async def finish_setup(self, session_id: str) -> SavedMethod | None:
        body = {"payment_source": {"token": {"id": session_id, "type": "SETUP_TOKEN"}}}
        try:
            return _saved(await self._client.post("v3/vault/payment-tokens", f"finish-{session_id}", body))
        except Refused:
            return None  # not approved yet, or not any more

    async def get_method(self, method: str) -> SavedMethod:
        try:
            return _saved(await self._client.get(f"v3/vault/payment-tokens/{method}"))
        except Refused as refused:
            raise failed(f"PayPal, method {method}: {refused}") from refused

    async def remove_method(self, method: str) -> None:
        try:
            await self._client.delete(f"v3/vault/payment-tokens/{method}")
        except Refused as refused:
            if refused.status != 404:
                raise failed(f"PayPal, method {method}: {refused}") from refused

    async def charge(self, charge: Charge) -> PaymentResult:
        # The invoice id is ours of the payment: PayPal refuses it a second time, also after it has forgotten the key.
        unit = {
            "amount": to_money(charge.amount_minor, charge.currency),
            "custom_id": str(charge.payment_id),
            "invoice_id": str(charge.payment_id),
        }
        wallet: dict[str, object] = {"experience_context": _experience(charge.return_url) | {"user_action": "PAY_NOW"}}
        if charge.method is not None:
            stored = {"payment_initiator": "MERCHANT", "usage": "SUBSEQUENT", "usage_pattern": "UNSCHEDULED_POSTPAID"}
            wallet = {"vault_id": charge.method, "stored_credential": stored}
        body = {"intent": "CAPTURE", "purchase_units": [unit], "payment_source": {"paypal": wallet}}
        try:
            return _of_order(await self._client.post("v2/checkout/orders", f"charge-{charge.payment_id}", body))
        except Refused as refused:
            return _payers_no(refused, "")

    async def get_payment(self, provider_payment_id: str) -> PaymentResult:
        try:
            if not provider_payment_id.startswith(ORDER):
                return _of_capture(await self._client.get(f"v2/payments/captures/{provider_payment_id}"))
            order_id = provider_payment_id.removeprefix(ORDER)
            order = await self._client.get(f"v2/checkout/orders/{order_id}")
            if order["status"] != "APPROVED":
                return _of_order(order)
            return _of_order(
                await self._client.post(f"v2/checkout/orders/{order_id}/capture", f"capture-{order_id}", {})
            )
        except Refused as refused:
            return _payers_no(refused, provider_payment_id)

    async def refund(self, refund: Refund) -> RefundResult:
        made = await self._do(
            f"v2/payments/captures/{refund.provider_payment_id}/refund",
            f"refund-{refund.refund_id}",
            {
                "amount": to_money(refund.amount_minor, refund.currency),
                "custom_id": str(refund.payment_id),
                "invoice_id": str(refund.refund_id),
            },
        )
        status = _REFUND_STATUSES.get(made["status"], RefundStatus.PENDING)
        return RefundResult(status, made["id"], to_minor(made["amount"])[0], _reason(made))

    async def list_payments(self, since: datetime) -> AsyncIterator[ProviderPayment]:
        """From Transaction Search, which is up to three hours behind."""
        payments: list[dict[str, Any]] = []
        refunded: dict[str, int] = {}
        async for info in self._transactions(since):
            code = str(info.get("transaction_event_code", ""))
            if code.startswith(_PAYMENT_CODES):
                payments.append(info)
            elif code.startswith(_REFUND_CODES):
                of = str(info.get("paypal_reference_id", ""))
                refunded[of] = refunded.get(of, 0) + abs(to_minor(info["transaction_amount"])[0])
        for info in payments:
            amount_minor, currency = to_minor(info["transaction_amount"])
            yield ProviderPayment(
                info["transaction_id"],
                webhooks.our_payment_id(info.get("custom_field")),
                _SEARCH_STATUSES.get(info["transaction_status"], PaymentStatus.PENDING),
                amount_minor,
                currency,
                refunded.get(info["transaction_id"], 0),
                datetime.fromisoformat(info["transaction_initiation_date"]),
            )

    async def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> tuple[PaymentEvent, ...]:
        url = webhooks.certificate_url(headers, self._host)
        if url not in self._certificates:
            try:
                self._certificates = {url: await self._client.certificate(url)}  # PayPal has one at a time
            except Refused:
                raise webhooks.not_signed() from None
        webhooks.verify(body, headers, self._settings.webhook_id, self._certificates[url], now)
        return webhooks.events(body)

    async def _transactions(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """In windows of 31 days, which is the most that PayPal answers at once."""
        start, now = since, self._clock.now()
        while start < now:
            end, page, pages = min(start + timedelta(days=_SEARCH_DAYS), now), 1, 1
            while page <= pages:
                found = await self._search(start, end, page)
                for detail in found["transaction_details"]:
                    yield detail["transaction_info"]
                page, pages = page + 1, int(found["total_pages"])
            start = end

    async def _search(self, start: datetime, end: datetime, page: int) -> dict[str, Any]:
        window = {"start_date": start.isoformat(), "end_date": end.isoformat()}
        try:
            return await self._client.get(
                "v1/reporting/transactions", **window, fields="transaction_info", page_size=_PAGE, page=page
            )
        except Refused as refused:
            raise failed(f"PayPal, transactions: {refused}") from refused

    async def _do(self, path: str, request_id: str, body: Mapping[str, object]) -> dict[str, Any]:
        try:
            return await self._client.post(path, request_id, body)
        except Refused as refused:
            raise failed(f"PayPal, {path}: {refused}") from refused


def _experience(return_url: str) -> dict[str, str]:
    return {"return_url": return_url, "cancel_url": return_url, "shipping_preference": "NO_SHIPPING"}


def _of_order(order: dict[str, Any]) -> PaymentResult:
    captures = [
        capture
        for unit in order.get("purchase_units") or ()
        for capture in (unit.get("payments") or {}).get("captures") or ()
    ]
    if captures:
        return _of_capture(captures[-1])
    order_id = f"{ORDER}{order['id']}"
    if order["status"] == "VOIDED":
        return PaymentResult(PaymentStatus.FAILED, order_id, "voided")
    if order["status"] in ("CREATED", "PAYER_ACTION_REQUIRED"):
        return PaymentResult(
            PaymentStatus.REQUIRES_ACTION, order_id, action_url=_link(order, "payer-action", "approve")
        )
    return PaymentResult(PaymentStatus.PENDING, order_id)


def _of_capture(capture: dict[str, Any]) -> PaymentResult:
    status = _CAPTURE_STATUSES.get(capture["status"], PaymentStatus.PENDING)
    return PaymentResult(status, capture["id"], _reason(capture) if status == PaymentStatus.FAILED else "")


def _payers_no(refused: Refused, provider_payment_id: str) -> PaymentResult:
    if refused.issue == "PAYER_ACTION_REQUIRED":
        return PaymentResult(PaymentStatus.REQUIRES_ACTION, provider_payment_id, refused.issue)
    if refused.issue in _PAYERS_NO:
        return PaymentResult(PaymentStatus.FAILED, provider_payment_id, refused.issue)
    raise failed(f"PayPal: {refused}") from refused


def _saved(token: dict[str, Any]) -> SavedMethod:
    ((kind, source),) = token["payment_source"].items()
    shown = str(source.get("last_digits") or source.get("email_address") or "")
    customer = str((token.get("customer") or {}).get("merchant_customer_id") or "")
    brand, expires = str(source.get("brand") or "").lower(), str(source.get("expiry") or "")
    return SavedMethod(token["id"], kind, brand, shown, expires, customer)


def _reason(subject: dict[str, Any]) -> str:
    return str((subject.get("status_details") or {}).get("reason") or "")


def _link(subject: dict[str, Any], *relations: str) -> str:
    links = {link["rel"]: str(link["href"]) for link in subject.get("links") or ()}
    return next((links[relation] for relation in relations if relation in links), "")
