"""The port, on Stripe: PaymentIntents off-session, Checkout for payers who are present.

A payment that the payer makes in Checkout has the session's id until the PaymentIntent's events come; both carry our
payment id in their metadata.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

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
from omni.domains.payments.providers.stripe import webhooks
from omni.domains.payments.providers.stripe.client import CardError, StripeClient, StripeSettings
from omni.kit.errors import InvalidInput
from omni.kit.money import currency_exponent

_PAGE = 100
_STATUSES = {
    "succeeded": PaymentStatus.SUCCEEDED,
    "processing": PaymentStatus.PENDING,
    "requires_capture": PaymentStatus.PENDING,
    "requires_confirmation": PaymentStatus.PENDING,
    "requires_action": PaymentStatus.REQUIRES_ACTION,
    "requires_payment_method": PaymentStatus.FAILED,
    "canceled": PaymentStatus.FAILED,
}
_CHARGE_STATUSES = {
    "succeeded": PaymentStatus.SUCCEEDED,
    "pending": PaymentStatus.PENDING,
    "failed": PaymentStatus.FAILED,
}
_REFUND_STATUSES = {
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
_NEEDS_PAYER = "authentication_required"
_SESSION_PREFIX = "cs_"


class Stripe:
    """`PaymentProvider` over an account of Stripe."""

    name = "stripe"

    def __init__(self, http: httpx2.AsyncClient, settings: StripeSettings) -> None:
        self._client = StripeClient(http, settings)
        self._settings = settings

    async def create_customer(self, customer: NewCustomer) -> str:
        told = hashlib.sha256(f"{customer.name}\n{customer.email}".encode()).hexdigest()[:16]
        made = await self._client.post(
            "customers",
            f"customer-{customer.tenant_id}-{told}",
            name=customer.name,
            email=customer.email,
            metadata={"tenant_id": customer.tenant_id},
        )
        return str(made["id"])

    async def start_setup(self, customer: str, return_url: str, idempotency_key: str) -> SetupSession:
        session = await self._client.post(
            "checkout/sessions",
            f"setup-{idempotency_key}",
            mode="setup",
            customer=customer,
            success_url=return_url,
            cancel_url=return_url,
            payment_method_types=self._settings.method_types,
        )
        return SetupSession(session["id"], session["url"])

    async def finish_setup(self, session_id: str) -> SavedMethod | None:
        session = await self._client.get(f"checkout/sessions/{session_id}", expand=["setup_intent.payment_method"])
        intent = session.get("setup_intent") or {}
        return _saved(intent["payment_method"]) if intent.get("status") == "succeeded" else None

    async def get_method(self, method: str) -> SavedMethod:
        return _saved(await self._client.get(f"payment_methods/{method}"))

    async def remove_method(self, method: str) -> None:
        found = await self._client.get(f"payment_methods/{method}")
        if found.get("customer"):
            await self._client.post(f"payment_methods/{method}/detach", f"detach-{method}")

    async def charge(self, charge: Charge) -> PaymentResult:
        _check_amount(charge.amount_minor, charge.currency)
        if charge.method is None:
            return await self._checkout(charge)
        try:
            intent = await self._client.post(
                "payment_intents",
                f"charge-{charge.payment_id}",
                amount=charge.amount_minor,
                currency=charge.currency.lower(),
                customer=charge.customer,
                payment_method=charge.method,
                confirm=True,
                off_session=True,
                metadata=_metadata(charge),
            )
        except CardError as error:
            status = PaymentStatus.REQUIRES_ACTION if error.code == _NEEDS_PAYER else PaymentStatus.FAILED
            return PaymentResult(status, str(error.payment.get("id") or ""), error.code)
        return _result(intent)

    async def _checkout(self, charge: Charge) -> PaymentResult:
        item = {
            "quantity": 1,
            "price_data": {
                "currency": charge.currency.lower(),
                "unit_amount": charge.amount_minor,
                "product_data": {"name": f"Invoice {charge.invoice_id}"},
            },
        }
        session = await self._client.post(
            "checkout/sessions",
            f"checkout-{charge.payment_id}",
            mode="payment",
            customer=charge.customer,
            line_items=[item],
            success_url=charge.return_url,
            cancel_url=charge.return_url,
            metadata=_metadata(charge),
            payment_intent_data={"metadata": _metadata(charge)},
        )
        return PaymentResult(PaymentStatus.REQUIRES_ACTION, session["id"], action_url=session["url"])

    async def get_payment(self, provider_payment_id: str) -> PaymentResult:
        if not provider_payment_id.startswith(_SESSION_PREFIX):
            return _result(await self._client.get(f"payment_intents/{provider_payment_id}"))
        session = await self._client.get(f"checkout/sessions/{provider_payment_id}", expand=["payment_intent"])
        if isinstance(session.get("payment_intent"), dict):
            return _result(session["payment_intent"])
        if session["status"] == "expired":
            return PaymentResult(PaymentStatus.FAILED, session["id"], "expired")
        return PaymentResult(PaymentStatus.REQUIRES_ACTION, session["id"], action_url=session.get("url") or "")

    async def refund(self, refund: Refund) -> RefundResult:
        _check_amount(refund.amount_minor, refund.currency)
        made = await self._client.post(
            "refunds",
            f"refund-{refund.refund_id}",
            payment_intent=refund.provider_payment_id,
            amount=refund.amount_minor,
            metadata={"payment_id": refund.payment_id, "refund_id": refund.refund_id},
        )
        status = _REFUND_STATUSES.get(made["status"], RefundStatus.PENDING)
        return RefundResult(status, made["id"], int(made["amount"]), str(made.get("failure_reason") or ""))

    async def list_payments(self, since: datetime) -> AsyncIterator[ProviderPayment]:
        after: str | None = None
        while True:
            page = await self._client.get(
                "charges",
                created={"gt": int(since.timestamp())},
                limit=_PAGE,
                starting_after=after,
                expand=["data.payment_intent"],
            )
            for charge in page["data"]:
                yield _provider_payment(charge)
            if not page["has_more"]:
                return
            after = page["data"][-1]["id"]

    async def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> tuple[PaymentEvent, ...]:
        webhooks.verify(body, headers.get(webhooks.HEADER, ""), self._settings.webhook_secrets, now)
        return webhooks.events(body)


def _saved(method: dict[str, Any]) -> SavedMethod:
    details = method.get(method["type"]) or {}
    expires = f"{details['exp_year']}-{details['exp_month']:02}" if details.get("exp_year") else ""
    brand, last4 = str(details.get("brand") or ""), str(details.get("last4") or "")
    return SavedMethod(method["id"], method["type"], brand, last4, expires, str(method.get("customer") or ""))


def _metadata(charge: Charge) -> dict[str, object]:
    return {"payment_id": charge.payment_id, "invoice_id": charge.invoice_id}


def _result(intent: dict[str, Any]) -> PaymentResult:
    status = _STATUSES.get(intent["status"], PaymentStatus.PENDING)
    action = (intent.get("next_action") or {}).get("redirect_to_url") or {}
    code = webhooks.failure_code(intent) if status == PaymentStatus.FAILED else ""
    return PaymentResult(status, intent["id"], code, str(action.get("url") or ""))


def _provider_payment(charge: dict[str, Any]) -> ProviderPayment:
    """Of a charge whose PaymentIntent is expanded; charges of Stripe's older APIs have none."""
    intent: dict[str, Any] = charge.get("payment_intent") or charge
    return ProviderPayment(
        intent["id"],
        webhooks.our_payment_id(intent),
        _CHARGE_STATUSES[charge["status"]],
        int(charge["amount"]),
        str(charge["currency"]).upper(),
        int(charge["amount_refunded"]),
        datetime.fromtimestamp(charge["created"], UTC),
    )


def _check_amount(amount_minor: int, currency: str) -> None:
    """Stripe takes three-decimal currencies in tens (docs.stripe.com, currencies). Raises InvalidInput."""
    if amount_minor <= 0:
        raise InvalidInput("unpayable_amount", "An amount to be paid or refunded is more than nothing.")
    if currency_exponent(currency) == 3 and amount_minor % 10:
        raise InvalidInput(
            "unpayable_amount", f"Stripe takes {currency} with two decimals: the last digit of the amount must be 0."
        )
