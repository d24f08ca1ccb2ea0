"""A payment provider in memory, which can be told to decline, to be away and to lose answers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode
from uuid import UUID, uuid4

import orjson

from omni.domains.payments.contracts import (
    Charge,
    Deposit,
    EventKind,
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
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput, Unavailable, UpstreamFailed

Behaviour = Literal["pays", "declines", "asks"]
SIGNATURE = "x-payments-signature"
TOLERANCE_SECONDS = 300


@dataclass(slots=True)
class _Payment:
    charge: Charge
    result: PaymentResult
    created_at: datetime
    refunded_minor: int = 0


class InMemoryPayments:
    """The in-memory twin of the payment providers."""

    name = "memory"

    def __init__(self, clock: Clock, secret: str = "twin") -> None:  # noqa: S107
        self._clock = clock
        self._secret = secret
        self._customers: dict[UUID, str] = {}
        self._methods: dict[str, tuple[SavedMethod, Behaviour]] = {}
        self._payments: dict[UUID, _Payment] = {}
        self._refunds: dict[UUID, RefundResult] = {}
        self._setups: dict[str, str] = {}
        self._finished: dict[str, str] = {}
        self._failures = 0
        self._lost_answers = 0

    # --- what a test tells it ---

    def save_method(self, behaviour: Behaviour = "pays", customer: str = "") -> str:
        """A method that a payer saved, and how its bank will answer."""
        method = f"method_{uuid4().hex}"
        self._methods[method] = SavedMethod(method, "card", "visa", "4242", "2030-12", customer), behaviour
        return method

    def finish(self, session: SetupSession, method: str) -> None:
        """The payer has saved a method on the page."""
        self._finished[session.session_id] = method

    def complete(self, session_id: str, behaviour: Behaviour = "pays") -> str:
        """The payer saves a method on the page of that name."""
        self._finished[session_id] = self.save_method(behaviour, self._setups[session_id])
        return self._finished[session_id]

    def overstate(self, invoice_id: UUID, more_minor: int) -> None:
        """From now on the records here have so much more for the payments of an invoice."""
        for payment in self._payments.values():
            if payment.charge.invoice_id == invoice_id:
                payment.charge = replace(payment.charge, amount_minor=payment.charge.amount_minor + more_minor)

    def charge_again(self, payment_id: UUID) -> None:
        """A second payment for one of ours, as if its idempotency key had been forgotten."""
        first = self._payments[payment_id]
        result = replace(first.result, provider_payment_id=f"payment_{uuid4()}")
        self._payments[uuid4()] = replace(first, result=result)

    def be_away(self, calls: int = 1) -> None:
        """The next calls fail without any effect."""
        self._failures = calls

    def lose_answers(self, calls: int = 1) -> None:
        """The next charges are made, and nobody hears of it."""
        self._lost_answers = calls

    def signed(self, event: PaymentEvent, at: datetime) -> tuple[bytes, dict[str, str]]:
        """A webhook as this provider sends it."""
        body = orjson.dumps(event)
        stamp = str(int(at.timestamp()))
        return body, {SIGNATURE: f"{stamp}.{self._sign(stamp, body)}"}

    # --- the port ---

    async def create_customer(self, customer: NewCustomer) -> str:
        self._answer()
        return self._customers.setdefault(customer.tenant_id, f"customer_{customer.tenant_id}")

    async def start_setup(self, customer: str, return_url: str, idempotency_key: str) -> SetupSession:
        self._answer()
        url = f"https://pay.example/setup/{idempotency_key}?{urlencode({'customer': customer, 'back': return_url})}"
        self._setups[f"setup_{idempotency_key}"] = customer
        return SetupSession(f"setup_{idempotency_key}", url)

    async def finish_setup(self, session_id: str) -> SavedMethod | None:
        self._answer()
        method = self._finished.get(session_id)
        return None if method is None else self._method(method)[0]

    async def get_method(self, method: str) -> SavedMethod:
        self._answer()
        return self._method(method)[0]

    async def remove_method(self, method: str) -> None:
        self._answer()
        self._methods.pop(method, None)

    async def charge(self, charge: Charge) -> PaymentResult:
        _check_amount(charge.amount_minor)
        self._answer()
        if charge.payment_id not in self._payments:
            self._payments[charge.payment_id] = _Payment(charge, self._decide(charge), self._clock.now())
        if self._lost_answers:
            self._lost_answers -= 1
            raise _unavailable()
        return self._payments[charge.payment_id].result

    async def get_payment(self, provider_payment_id: str) -> PaymentResult:
        self._answer()
        return self._find(provider_payment_id).result

    async def refund(self, refund: Refund) -> RefundResult:
        _check_amount(refund.amount_minor)
        self._answer()
        if refund.refund_id not in self._refunds:
            payment = self._find(refund.provider_payment_id)
            left = payment.charge.amount_minor - payment.refunded_minor
            if payment.result.status != PaymentStatus.SUCCEEDED or refund.amount_minor > left:
                raise UpstreamFailed("payment_provider_failed", "The payment has not that much to give back.")
            payment.refunded_minor += refund.amount_minor
            made = RefundResult(RefundStatus.SUCCEEDED, f"refund_{refund.refund_id}", refund.amount_minor)
            self._refunds[refund.refund_id] = made
        return self._refunds[refund.refund_id]

    async def list_payments(self, since: datetime) -> AsyncIterator[ProviderPayment]:
        self._answer()
        for payment in self._payments.values():
            if payment.created_at > since and payment.result.status != PaymentStatus.REQUIRES_ACTION:
                yield ProviderPayment(
                    payment.result.provider_payment_id,
                    payment.charge.payment_id,
                    payment.result.status,
                    payment.charge.amount_minor,
                    payment.charge.currency,
                    payment.refunded_minor,
                    payment.created_at,
                )

    async def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> tuple[PaymentEvent, ...]:
        stamp, _, signature = headers.get(SIGNATURE, "").partition(".")
        if not stamp.isdigit() or not hmac.compare_digest(self._sign(stamp, body), signature):
            raise InvalidInput("webhook_signature_invalid", "The signature does not fit the body.")
        if abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
            raise InvalidInput("webhook_too_old", "The webhook was signed too long ago.")
        return _events(body)

    def _decide(self, charge: Charge) -> PaymentResult:
        provider_payment_id = f"payment_{charge.payment_id}"
        if charge.method is None:
            url = f"https://pay.example/pay/{charge.payment_id}"
            return PaymentResult(PaymentStatus.REQUIRES_ACTION, provider_payment_id, action_url=url)
        return {
            "pays": PaymentResult(PaymentStatus.SUCCEEDED, provider_payment_id),
            "declines": PaymentResult(PaymentStatus.FAILED, provider_payment_id, "card_declined"),
            "asks": PaymentResult(PaymentStatus.REQUIRES_ACTION, provider_payment_id, "authentication_required"),
        }[self._method(charge.method)[1]]

    def _answer(self) -> None:
        if self._failures:
            self._failures -= 1
            raise _unavailable()

    def _method(self, method: str) -> tuple[SavedMethod, Behaviour]:
        try:
            return self._methods[method]
        except KeyError:
            raise UpstreamFailed("payment_provider_failed", "There is no such method.") from None

    def _find(self, provider_payment_id: str) -> _Payment:
        for payment in self._payments.values():
            if payment.result.provider_payment_id == provider_payment_id:
                return payment
        raise UpstreamFailed("payment_provider_failed", "There is no such payment.")

    def _sign(self, stamp: str, body: bytes) -> str:
        return hmac.new(self._secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class InMemoryDeposits:
    """The in-memory twin of where deposits are kept."""

    def __init__(self) -> None:
        self._deposits: dict[UUID, Deposit] = {}
        self._indices = 0

    async def find(self, payment_id: UUID) -> Deposit | None:
        return self._deposits.get(payment_id)

    async def at(self, address: str) -> Deposit | None:
        return next((deposit for deposit in self._deposits.values() if deposit.address == address), None)

    async def next_index(self) -> int:
        self._indices += 1
        return self._indices - 1

    async def add(self, deposit: Deposit) -> Deposit:
        return self._deposits.setdefault(deposit.payment_id, deposit)

    async def since(self, moment: datetime) -> list[Deposit]:
        return [deposit for deposit in self._deposits.values() if deposit.created_at > moment]


def _events(body: bytes) -> tuple[PaymentEvent, ...]:
    try:
        row = orjson.loads(body)
        if row["kind"] not in set(EventKind):
            return ()
        event = PaymentEvent(**row)
        known = UUID(row["payment_id"]) if row["payment_id"] else None
        moment = datetime.fromisoformat(row["occurred_at"]).astimezone(UTC)
        return (replace(event, kind=EventKind(row["kind"]), payment_id=known, occurred_at=moment),)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput("webhook_malformed", "The webhook is not an event.") from error


def _check_amount(amount_minor: int) -> None:
    if amount_minor <= 0:
        raise InvalidInput("unpayable_amount", "An amount to be paid or refunded is more than nothing.")


def _unavailable() -> Unavailable:
    return Unavailable("payment_provider_unavailable", "The payment provider does not answer.")
