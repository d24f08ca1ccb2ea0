"""What the contract tests may do behind a provider's back."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Protocol

import httpx2

from omni.domains.payments.contracts import EventKind, PaymentEvent, PaymentProvider, SetupSession
from omni.domains.payments.providers.paypal.adapter import PayPal
from omni.domains.payments.providers.stripe.adapter import Stripe
from omni.testing.payments import Behaviour, InMemoryPayments
from tests.domains.payments.fake_paypal import FakePayPal
from tests.domains.payments.localstripe import AUTHORIZATION, save_card
from tests.domains.payments.stripe_edge import SECRET, StripeEdge

CARDS: dict[Behaviour, str] = {"pays": "4242424242424242", "declines": "4000000000000341", "asks": "4000002500003155"}
"""Numbers of docs.stripe.com/testing."""

STRIPE_TYPES = {
    EventKind.PAYMENT_PENDING: "payment_intent.processing",
    EventKind.PAYMENT_REQUIRES_ACTION: "payment_intent.requires_action",
    EventKind.PAYMENT_FAILED: "payment_intent.payment_failed",
    EventKind.PAYMENT_SUCCEEDED: "payment_intent.succeeded",
    EventKind.REFUND_PENDING: "refund.created",
    EventKind.REFUND_SUCCEEDED: "refund.updated",
    EventKind.REFUND_FAILED: "refund.failed",
    EventKind.DISPUTE_OPENED: "charge.dispute.created",
    EventKind.DISPUTE_WON: "charge.dispute.closed",
    EventKind.DISPUTE_LOST: "charge.dispute.closed",
    EventKind.METHOD_SAVED: "setup_intent.succeeded",
}
STRIPE_STATUSES = {
    EventKind.REFUND_PENDING: "pending",
    EventKind.REFUND_SUCCEEDED: "succeeded",
    EventKind.REFUND_FAILED: "failed",
    EventKind.DISPUTE_OPENED: "needs_response",
    EventKind.DISPUTE_WON: "won",
    EventKind.DISPUTE_LOST: "lost",
}


class Harness(Protocol):
    """A provider, and what stands behind it."""

    @property
    def provider(self) -> PaymentProvider: ...
    @property
    def declined(self) -> str: ...
    async def save_method(self, customer: str, behaviour: Behaviour = "pays") -> str: ...
    async def finish(self, session: SetupSession, method: str) -> None: ...
    def be_away(self) -> None: ...
    def lose_an_answer(self) -> None: ...
    def webhook(self, event: PaymentEvent, at: datetime) -> tuple[bytes, dict[str, str]]: ...


class TwinHarness:
    """The in-memory twin."""

    declined = "card_declined"

    def __init__(self, provider: InMemoryPayments) -> None:
        self.provider = provider

    async def save_method(self, customer: str, behaviour: Behaviour = "pays") -> str:
        return self.provider.save_method(behaviour, customer)

    async def finish(self, session: SetupSession, method: str) -> None:
        self.provider.finish(session, method)

    def be_away(self) -> None:
        self.provider.be_away()

    def lose_an_answer(self) -> None:
        self.provider.lose_answers()

    def webhook(self, event: PaymentEvent, at: datetime) -> tuple[bytes, dict[str, str]]:
        return self.provider.signed(event, at)


class StripeHarness:
    """Stripe's adapter, the edge and localstripe."""

    declined = "card_declined"

    def __init__(self, provider: Stripe, edge: StripeEdge) -> None:
        self.provider = provider
        self.edge = edge

    async def save_method(self, customer: str, behaviour: Behaviour = "pays") -> str:
        return str((await save_card(self.edge.url, customer, CARDS[behaviour]))["id"])

    async def finish(self, session: SetupSession, method: str) -> None:
        async with httpx2.AsyncClient(base_url=self.edge.url, headers=AUTHORIZATION) as http:
            self.edge.finish(session.session_id, (await http.get(f"/v1/payment_methods/{method}")).json())

    def be_away(self) -> None:
        self.edge.next_faults("refused", "503", "429")

    def lose_an_answer(self) -> None:
        self.edge.next_faults("lost")

    def webhook(self, event: PaymentEvent, at: datetime) -> tuple[bytes, dict[str, str]]:
        body = json.dumps(stripe_event(event), indent=2).encode()
        return body, {"stripe-signature": stripe_signature(body, at, SECRET)}


def stripe_signature(body: bytes, at: datetime, secret: str) -> str:
    """The header by docs.stripe.com, written apart from the adapter."""
    stamp = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"


def stripe_event(event: PaymentEvent) -> dict[str, object]:
    """The event as Stripe would send it."""
    subject: dict[str, object] = {
        "id": event.subject or event.provider_payment_id,
        "amount": event.amount_minor,
        "currency": event.currency.lower(),
        "metadata": {"payment_id": str(event.payment_id)} if event.payment_id else {},
        "customer": event.customer or None,
    }
    if event.kind in STRIPE_STATUSES:
        subject |= {"payment_intent": event.provider_payment_id, "status": STRIPE_STATUSES[event.kind]}
    if event.kind == EventKind.METHOD_SAVED:
        subject |= {"payment_method": event.subject}
    if event.code:
        subject |= {"last_payment_error": {"code": "card_declined", "decline_code": event.code}}
    return {
        "id": event.event_id,
        "object": "event",
        "created": int(event.occurred_at.timestamp()),
        "type": STRIPE_TYPES[event.kind],
        "data": {"object": subject},
    }


class PayPalHarness:
    """PayPal's adapter, and a fake after PayPal's documentation."""

    declined = "INSTRUMENT_DECLINED"

    def __init__(self, provider: PayPal, fake: FakePayPal) -> None:
        self.provider = provider
        self.fake = fake

    async def save_method(self, customer: str, behaviour: Behaviour = "pays") -> str:
        return self.fake.save_method(behaviour, customer)

    async def finish(self, session: SetupSession, method: str) -> None:
        self.fake.approved_setups[session.session_id] = method

    def be_away(self) -> None:
        self.fake.next_faults("refused", "503", "429")

    def lose_an_answer(self) -> None:
        self.fake.next_faults("lost")

    def webhook(self, event: PaymentEvent, at: datetime) -> tuple[bytes, dict[str, str]]:
        body = json.dumps(paypal_event(event), indent=2).encode()
        return body, self.fake.sign(body, at)


PAYPAL_TYPES = {
    EventKind.PAYMENT_PENDING: "PAYMENT.CAPTURE.PENDING",
    EventKind.PAYMENT_FAILED: "PAYMENT.CAPTURE.DENIED",
    EventKind.PAYMENT_SUCCEEDED: "PAYMENT.CAPTURE.COMPLETED",
    EventKind.REFUND_PENDING: "PAYMENT.REFUND.PENDING",
    EventKind.REFUND_SUCCEEDED: "PAYMENT.CAPTURE.REFUNDED",
    EventKind.REFUND_FAILED: "PAYMENT.REFUND.FAILED",
    EventKind.DISPUTE_LOST: "PAYMENT.CAPTURE.REVERSED",
    EventKind.METHOD_SAVED: "VAULT.PAYMENT-TOKEN.CREATED",
}
"""PayPal tells of no open or won dispute as of a payment, and of none that asks for the payer."""


def paypal_event(event: PaymentEvent) -> dict[str, object]:
    """The event as PayPal would send it."""
    resource: dict[str, object] = {"id": event.subject or event.provider_payment_id}
    if event.kind == EventKind.METHOD_SAVED:
        resource |= {"customer": {"id": "x", "merchant_customer_id": event.customer}}
    else:
        up = f"https://api.paypal.com/v2/payments/captures/{event.provider_payment_id}"
        resource |= {
            "amount": {"currency_code": event.currency, "value": f"{event.amount_minor / 100:.2f}"},
            "custom_id": str(event.payment_id),
            "links": [{"rel": "self", "href": "https://api.paypal.com/x/y"}, {"rel": "up", "href": up}],
        }
    if event.code:
        resource |= {"status_details": {"reason": event.code}}
    return {
        "id": event.event_id,
        "create_time": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "event_type": PAYPAL_TYPES[event.kind],
        "resource": resource,
    }
