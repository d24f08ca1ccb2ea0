"""What every payment provider promises, held against each: the twin, Stripe on localstripe, PayPal on a fake."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from omni.domains.payments.contracts import (
    Charge,
    EventKind,
    NewCustomer,
    PaymentEvent,
    PaymentResult,
    PaymentStatus,
    ProviderPayment,
    Refund,
    RefundStatus,
)
from omni.kit.errors import InvalidInput, Unavailable, UpstreamFailed
from omni.kit.ids import uuid7
from tests.domains.payments.harness import PAYPAL_TYPES, Harness, PayPalHarness

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
BACK = "https://console.example/billing"


async def customer_of(harness: Harness) -> str:
    return await harness.provider.create_customer(NewCustomer(uuid7(), "Čebelar d.o.o.", "racuni@cebelar.example"))


async def charge_of(harness: Harness, method: str | None, customer: str, **changes: object) -> Charge:
    fields = {"payment_id": uuid7(), "invoice_id": uuid7(), "amount_minor": 6377, "currency": "EUR"} | changes
    return Charge(customer=customer, method=method, return_url=BACK, **fields)  # type: ignore[arg-type]


async def listed(harness: Harness, payment_id: UUID) -> list[ProviderPayment]:
    since = datetime.now(UTC) - timedelta(hours=1)
    return [each async for each in harness.provider.list_payments(since) if each.payment_id == payment_id]


async def paid(harness: Harness) -> tuple[Charge, PaymentResult]:
    customer = await customer_of(harness)
    charge = await charge_of(harness, await harness.save_method(customer), customer)
    return charge, await harness.provider.charge(charge)


async def test_a_saved_method_is_charged_while_the_payer_is_away(harness: Harness) -> None:
    charge, result = await paid(harness)
    assert result.status == PaymentStatus.SUCCEEDED
    assert result.provider_payment_id
    assert await harness.provider.get_payment(result.provider_payment_id) == result
    (found,) = await listed(harness, charge.payment_id)
    assert found.provider_payment_id == result.provider_payment_id
    assert (found.status, found.amount_minor, found.currency) == (PaymentStatus.SUCCEEDED, 6377, "EUR")
    assert found.refunded_minor == 0


async def test_the_same_payment_is_never_charged_twice(harness: Harness) -> None:
    charge, result = await paid(harness)
    assert await harness.provider.charge(charge) == result
    assert len(await listed(harness, charge.payment_id)) == 1


async def test_an_answer_that_is_lost_does_not_charge_twice(harness: Harness) -> None:
    customer = await customer_of(harness)
    charge = await charge_of(harness, await harness.save_method(customer), customer)
    harness.lose_an_answer()
    try:
        result = await harness.provider.charge(charge)
    except Unavailable:
        result = await harness.provider.charge(charge)
    assert result.status == PaymentStatus.SUCCEEDED
    assert len(await listed(harness, charge.payment_id)) == 1


async def test_a_refusal_by_the_bank_is_data(harness: Harness) -> None:
    customer = await customer_of(harness)
    charge = await charge_of(harness, await harness.save_method(customer, "declines"), customer)
    result = await harness.provider.charge(charge)
    assert (result.status, result.code) == (PaymentStatus.FAILED, harness.declined)
    assert await harness.provider.charge(charge) == result


async def test_a_bank_that_asks_for_the_payer_is_data(harness: Harness) -> None:
    customer = await customer_of(harness)
    charge = await charge_of(harness, await harness.save_method(customer, "asks"), customer)
    result = await harness.provider.charge(charge)
    assert result.status == PaymentStatus.REQUIRES_ACTION
    assert (await harness.provider.get_payment(result.provider_payment_id)).status == PaymentStatus.REQUIRES_ACTION


async def test_a_payer_who_is_present_gets_a_page(harness: Harness) -> None:
    customer = await customer_of(harness)
    charge = await charge_of(harness, None, customer)
    result = await harness.provider.charge(charge)
    assert result.status == PaymentStatus.REQUIRES_ACTION
    assert result.action_url.startswith("https://")
    assert await harness.provider.charge(charge) == result
    assert await harness.provider.get_payment(result.provider_payment_id) == result
    assert await listed(harness, charge.payment_id) == []


async def test_the_same_tenant_is_the_same_customer(harness: Harness) -> None:
    tenant = NewCustomer(uuid7(), "A", "a@a.example")
    first = await harness.provider.create_customer(tenant)
    assert await harness.provider.create_customer(tenant) == first
    assert await customer_of(harness) != first


async def test_saving_and_forgetting_a_method(harness: Harness) -> None:
    customer = await customer_of(harness)
    session = await harness.provider.start_setup(customer, BACK, "one")
    assert session.url.startswith("https://")
    assert await harness.provider.finish_setup(session.session_id) is None
    method = await harness.save_method(customer)
    await harness.finish(session, method)
    saved = await harness.provider.get_method(method)
    assert await harness.provider.finish_setup(session.session_id) == saved
    assert (saved.method, saved.kind, saved.brand, saved.last4, saved.expires) == (
        method, "card", "visa", "4242", "2030-12",
    )  # fmt: skip
    assert saved.customer == customer
    await harness.provider.remove_method(method)


async def test_refunds_in_parts(harness: Harness) -> None:
    charge, result = await paid(harness)
    first = Refund(uuid7(), charge.payment_id, result.provider_payment_id, 1000, "EUR")
    made = await harness.provider.refund(first)
    assert (made.status, made.amount_minor) == (RefundStatus.SUCCEEDED, 1000)
    assert await harness.provider.refund(first) == made
    await harness.provider.refund(Refund(uuid7(), charge.payment_id, result.provider_payment_id, 377, "EUR"))
    (found,) = await listed(harness, charge.payment_id)
    assert found.refunded_minor == 1377


async def test_what_was_not_paid_cannot_be_refunded(harness: Harness) -> None:
    with pytest.raises(UpstreamFailed):
        await harness.provider.refund(Refund(uuid7(), uuid7(), "pi_unknown", 1000, "EUR"))


@pytest.mark.parametrize("amount_minor", [0, -1])
async def test_amounts_that_cannot_be_paid(harness: Harness, amount_minor: int) -> None:
    charge = await charge_of(harness, "x", "y", amount_minor=amount_minor)
    with pytest.raises(InvalidInput) as refused:
        await harness.provider.charge(charge)
    assert refused.value.code == "unpayable_amount"


async def test_older_payments_are_not_listed(harness: Harness) -> None:
    await paid(harness)
    assert [each async for each in harness.provider.list_payments(datetime.now(UTC) + timedelta(days=1))] == []


async def test_a_provider_that_is_away_says_so_and_nothing_is_charged(harness: Harness) -> None:
    customer = await customer_of(harness)
    charge = await charge_of(harness, await harness.save_method(customer), customer)
    harness.be_away()
    with pytest.raises(Unavailable) as away:
        await harness.provider.charge(charge)
    assert away.value.code == "payment_provider_unavailable"
    assert await listed(harness, charge.payment_id) == []
    assert (await harness.provider.charge(charge)).status == PaymentStatus.SUCCEEDED


# --- webhooks ---

PAYMENT_ID = UUID("0193a000-0000-7000-8000-000000000001")


def event(kind: EventKind, subject: str = "", code: str = "") -> PaymentEvent:
    return PaymentEvent("evt_1", kind, NOW, "pi_1", PAYMENT_ID, 6377, "EUR", subject, code=code)


@pytest.mark.parametrize(
    "told",
    [
        event(EventKind.PAYMENT_PENDING),
        event(EventKind.PAYMENT_REQUIRES_ACTION),
        event(EventKind.PAYMENT_FAILED, code="insufficient_funds"),
        event(EventKind.PAYMENT_SUCCEEDED),
        event(EventKind.REFUND_PENDING, "re_1"),
        event(EventKind.REFUND_SUCCEEDED, "re_1"),
        event(EventKind.REFUND_FAILED, "re_1"),
        event(EventKind.DISPUTE_OPENED, "dp_1"),
        event(EventKind.DISPUTE_WON, "dp_1"),
        event(EventKind.DISPUTE_LOST, "dp_1"),
        PaymentEvent("evt_2", EventKind.METHOD_SAVED, NOW, subject="pm_1", customer="cus_1"),
    ],
)
async def test_what_a_provider_tells_is_understood(harness: Harness, told: PaymentEvent) -> None:
    if isinstance(harness, PayPalHarness) and told.kind not in PAYPAL_TYPES:
        pytest.skip("PayPal has no such event")
    body, headers = harness.webhook(told, NOW)
    assert await harness.provider.parse_webhook(body, headers, NOW) == (told,)


async def refusal(harness: Harness, body: bytes, headers: dict[str, str], now: datetime = NOW) -> str:
    with pytest.raises(InvalidInput) as refused:
        await harness.provider.parse_webhook(body, headers, now)
    return refused.value.code


async def test_a_webhook_is_good_for_300_seconds(harness: Harness) -> None:
    body, headers = harness.webhook(event(EventKind.PAYMENT_SUCCEEDED), NOW)
    for seconds in (-300, 0, 300):
        assert await harness.provider.parse_webhook(body, headers, NOW + timedelta(seconds=seconds))
    for seconds in (-301, 301):
        assert await refusal(harness, body, headers, NOW + timedelta(seconds=seconds)) == "webhook_too_old"


async def test_a_changed_or_reserialised_body_is_refused(harness: Harness) -> None:
    body, headers = harness.webhook(event(EventKind.PAYMENT_SUCCEEDED), NOW)
    reserialised = json.dumps(json.loads(body), separators=(", ", ":")).encode()
    assert reserialised != body
    for changed in (reserialised, body.replace(b"evt_1", b"evt_2"), body + b" ", b""):
        assert await refusal(harness, changed, headers) == "webhook_signature_invalid"


async def test_without_its_signature_a_webhook_is_refused(harness: Harness) -> None:
    body, headers = harness.webhook(event(EventKind.PAYMENT_SUCCEEDED), NOW)
    assert await refusal(harness, body, {}) == "webhook_signature_invalid"
    for name, value in headers.items():
        for broken in ("", value[: len(value) // 2], "t=1,v1="):
            assert await refusal(harness, body, headers | {name: broken}) == "webhook_signature_invalid"
