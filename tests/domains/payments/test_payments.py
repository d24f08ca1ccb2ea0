"""Payments as Omni keeps them: methods saved, invoices charged, webhooks booked once, money given back."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import UUID, uuid4

import httpx2
import pytest

from omni.domains.payments import facade
from omni.domains.payments.contracts import (
    Charge,
    EventKind,
    NewCustomer,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Refund,
)
from omni.domains.payments.service import charges
from omni.domains.payments.service.webhooks import Intake, take
from omni.foundation.db.roles import DatabaseAddress
from omni.foundation.outbox.relay import Message, relay_batch
from omni.kit.errors import Unavailable, UpstreamFailed
from omni.kit.ids import uuid7
from omni.testing.control_plane import ControlPlane
from omni.testing.payments import InMemoryPayments
from tests.conftest import dump_rows
from tests.domains.people import People, Person, problem

METHODS = "/api/tenants/{t}/payment-methods"
BACK = "https://console.example/billing"


@pytest.fixture(autouse=True)
async def without_invoices(plane: ControlPlane) -> AsyncIterator[None]:
    """Payments here are for invoices that nobody issued: billing, which would book them, is left out."""
    del plane.tasks[facade.MONEY_MOVED]
    yield
    await plane.run_tasks()


async def save_method(plane: ControlPlane, owner: Person, behaviour: str = "pays") -> str:
    """A method saved the way a payer does; returns the provider's name of it."""
    setup = await owner.post(f"{METHODS}/setup", {"provider": "stripe", "return_url": BACK})
    assert setup.status_code == 200, setup.text
    method = plane.payments.complete(setup.json()["session_id"], behaviour)  # type: ignore[arg-type]
    kept = await owner.post(METHODS, {"provider": "stripe", "session_id": setup.json()["session_id"]})
    assert kept.status_code == 201, kept.text
    return method


async def request(plane: ControlPlane, owner: Person, method: str | None, amount_minor: int = 6377) -> UUID:
    """What billing does when an invoice is due."""
    now = plane.clock.now()
    payment = Payment(uuid7(), uuid7(), "stripe", amount_minor, "EUR", method, BACK, now)
    async with plane.database.write(owner.tenant_id) as session:
        await facade.request_payment(session, payment)
    return payment.payment_id


async def payment_of(plane: ControlPlane, owner: Person, payment_id: UUID) -> Payment:
    async with plane.database.read(owner.tenant_id) as session:
        return await facade.get_payment(session, payment_id)


async def paid(plane: ControlPlane, owner: Person) -> UUID:
    payment_id = await request(plane, owner, await save_method(plane, owner))
    await plane.run_tasks()
    return payment_id


async def tell(plane: ControlPlane, people: People, event: PaymentEvent) -> httpx2.Response:
    body, headers = plane.payments.signed(event, plane.clock.now())
    return await people.client.post("/api/payment-webhooks/stripe", content=body, headers=headers)


async def drained(plane: ControlPlane) -> list[Message]:
    """Takes what is in the outbox without running it."""
    messages: list[Message] = []

    async def keep(batch: Sequence[Message]) -> None:
        messages.extend(batch)

    async with plane.system_database.session() as system:
        while await relay_batch(system, keep):
            pass
    return messages


# --- methods ---


async def test_a_method_is_saved_shown_and_forgotten(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    assert (await owner.get("/api/payment-providers")).json() == {"data": ["stripe"]}
    await save_method(plane, owner)
    (method,) = (await owner.get(METHODS)).json()["data"]
    assert (method["provider"], method["kind"], method["last4"], method["expires"]) == (
        "stripe", "card", "4242", "2030-12",
    )  # fmt: skip
    assert (await owner.call("DELETE", f"{METHODS}/{method['id']}")).status_code == 204
    assert (await owner.get(METHODS)).json()["data"] == []
    assert problem(await owner.call("DELETE", f"{METHODS}/{method['id']}")) == (404, "payment_method_not_found")


async def test_the_page_of_another_tenant_saves_nothing(plane: ControlPlane, people: People) -> None:
    owner, stranger = await people.owner(), await people.owner()
    await save_method(plane, stranger)
    setup = (await owner.post(f"{METHODS}/setup", {"provider": "stripe", "return_url": BACK})).json()
    finish = {"provider": "stripe", "session_id": setup["session_id"]}
    assert problem(await owner.post(METHODS, finish)) == (409, "setup_not_finished")
    plane.payments.complete(setup["session_id"])
    assert problem(await stranger.post(METHODS, finish)) == (409, "setup_not_finished")
    assert len((await stranger.get(METHODS)).json()["data"]) == 1


async def test_a_webhook_saves_the_method_too_and_once(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    setup = (await owner.post(f"{METHODS}/setup", {"provider": "stripe", "return_url": BACK})).json()
    method = plane.payments.complete(setup["session_id"])
    saved = await plane.payments.get_method(method)
    event = PaymentEvent(
        "evt_saved", EventKind.METHOD_SAVED, plane.clock.now(), subject=method, customer=saved.customer
    )
    for _ in range(2):
        assert (await tell(plane, people, replace(event, event_id=uuid4().hex))).status_code == 204
    await owner.post(METHODS, {"provider": "stripe", "session_id": setup["session_id"]})
    assert len((await owner.get(METHODS)).json()["data"]) == 1


async def test_what_is_off_says_what_turns_it_on(people: People) -> None:
    owner = await people.owner()
    setup = {"provider": "paypal", "return_url": BACK}
    assert problem(await owner.post(f"{METHODS}/setup", setup)) == (501, "payment_provider_not_configured")
    assert problem(await owner.post(f"{METHODS}/setup", setup | {"provider": "x"})) == (
        404, "payment_provider_not_found",
    )  # fmt: skip
    assert problem(await people.client.post("/api/payment-webhooks/paypal")) == (
        501, "payment_provider_not_configured",
    )  # fmt: skip
    assert problem(await owner.post(f"{METHODS}/setup", setup | {"return_url": "javascript:alert(1)"})) == (
        400, "invalid_request",
    )  # fmt: skip


# --- charges ---


async def test_an_invoice_is_charged_once_however_often_the_task_runs(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    payment_id = await request(plane, owner, await save_method(plane, owner))
    (message,) = [each for each in await plane.run_tasks() if each.task == charges.CHARGE]
    await plane.run_one(message)
    payment = await payment_of(plane, owner, payment_id)
    assert (payment.status, payment.received_minor) == (PaymentStatus.SUCCEEDED, 6377)
    listed = [each async for each in plane.payments.list_payments(plane.clock.now() - timedelta(days=1))]
    assert [each.payment_id for each in listed] == [payment_id]
    (shown,) = (await owner.get("/api/tenants/{t}/payments")).json()["data"]
    assert (shown["id"], shown["status"], shown["received_minor"]) == (str(payment_id), "succeeded", 6377)
    assert (await owner.get(f"/api/tenants/{{t}}/payments?invoice_id={uuid4()}")).json()["data"] == []


async def test_an_answer_that_is_lost_is_asked_for_again(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    payment_id = await request(plane, owner, await save_method(plane, owner))
    plane.payments.lose_answers()
    with pytest.raises(Unavailable):
        await plane.run_tasks()
    assert (await payment_of(plane, owner, payment_id)).status == PaymentStatus.PENDING
    (message,) = [each for each in plane.delivered if each.task == charges.CHARGE]
    await plane.run_one(message)
    assert (await payment_of(plane, owner, payment_id)).received_minor == 6377


async def test_a_bank_that_refuses_or_asks(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    refused = await request(plane, owner, await save_method(plane, owner, "declines"))
    asked = await request(plane, owner, await save_method(plane, owner, "asks"))
    present = await request(plane, owner, None)
    await plane.run_tasks()
    payment = await payment_of(plane, owner, refused)
    assert (payment.status, payment.code, payment.received_minor) == (PaymentStatus.FAILED, "card_declined", 0)
    payment = await payment_of(plane, owner, asked)
    assert (payment.status, payment.code) == (PaymentStatus.REQUIRES_ACTION, "authentication_required")
    payment = await payment_of(plane, owner, present)
    assert payment.action_url.startswith("https://pay.example/pay/")


async def test_a_provider_that_refuses_the_request_fails_the_payment(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    payment_id = await request(plane, owner, "method_that_is_gone")
    with pytest.raises(UpstreamFailed):
        await plane.run_tasks()
    payment = await payment_of(plane, owner, payment_id)
    assert (payment.status, payment.code) == (PaymentStatus.FAILED, "payment_provider_failed")


# --- webhooks ---


def life(payment: Payment) -> list[PaymentEvent]:
    """Six events of a payment that fails, is tried again, is paid and partly given back."""
    start = payment.created_at
    kinds = [
        (EventKind.PAYMENT_PENDING, 6377, "", ""),
        (EventKind.PAYMENT_FAILED, 6377, "", "insufficient_funds"),
        (EventKind.PAYMENT_REQUIRES_ACTION, 6377, "", ""),
        (EventKind.PAYMENT_SUCCEEDED, 6377, "", ""),
        (EventKind.REFUND_PENDING, 1000, "re_1", ""),
        (EventKind.REFUND_SUCCEEDED, 1000, "re_1", ""),
    ]
    return [
        PaymentEvent(
            uuid4().hex,
            kind,
            start + timedelta(seconds=second),
            payment.provider_payment_id,
            payment.payment_id,
            amount,
            "EUR",
            subject,
            code=code,
        )
        for second, (kind, amount, subject, code) in enumerate(kinds)
    ]


async def test_webhooks_in_many_orders_with_repetitions_end_alike(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    orders = random.Random(7).sample(list(permutations(range(6))), 12)
    outcomes = set()
    for order in orders:
        payment_id = await request(plane, owner, None)
        await plane.run_tasks()
        events = life(await payment_of(plane, owner, payment_id))
        for index in (*order, *order[::2]):
            assert (await tell(plane, people, events[index])).status_code == 204
        payment = await payment_of(plane, owner, payment_id)
        outcomes.add((payment.status, payment.code, payment.received_minor, payment.refunded_minor, payment.action_url))
    assert outcomes == {(PaymentStatus.SUCCEEDED, "", 6377, 1000, "")}


@pytest.mark.parametrize("spoil", ["signature", "age", "body"])
async def test_a_webhook_that_is_refused_writes_nothing(
    plane: ControlPlane, people: People, database_address: DatabaseAddress, spoil: str
) -> None:
    owner = await people.owner()
    payment = await payment_of(plane, owner, await paid(plane, owner))
    event = replace(life(payment)[5], event_id="evt_refused")
    signed_at = plane.clock.now() - timedelta(seconds=301 if spoil == "age" else 0)
    body, headers = plane.payments.signed(event, signed_at)
    if spoil == "signature":
        headers = {name: f"{value}0" for name, value in headers.items()}
    if spoil == "body":
        body = body.replace(b"1000", b"9999")
    answer = await people.client.post("/api/payment-webhooks/stripe", content=body, headers=headers)
    assert problem(answer) == (400, "webhook_too_old" if spoil == "age" else "webhook_signature_invalid")
    assert "evt_refused" not in await dump_rows(database_address)
    assert await payment_of(plane, owner, payment.payment_id) == payment


async def test_an_event_of_nobodys_payment_is_left_alone(
    plane: ControlPlane, people: People, database_address: DatabaseAddress
) -> None:
    for event in (
        PaymentEvent("evt_nobody", EventKind.PAYMENT_SUCCEEDED, plane.clock.now(), "pi_x", uuid7(), 1, "EUR"),
        PaymentEvent("evt_nobody", EventKind.REFUND_SUCCEEDED, plane.clock.now(), "", None, 1, "EUR", "re_x"),
        PaymentEvent("evt_nobody", EventKind.METHOD_SAVED, plane.clock.now(), subject="pm_x", customer="cus_x"),
    ):
        assert (await tell(plane, people, event)).status_code == 204
    assert "evt_nobody" not in await dump_rows(database_address)


async def test_an_event_finds_its_payment_by_the_providers_id(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    payment = await payment_of(plane, owner, await paid(plane, owner))
    opened = PaymentEvent(
        uuid4().hex, EventKind.DISPUTE_OPENED, plane.clock.now(), payment.provider_payment_id, None, 6377, "EUR", "dp_1"
    )
    await tell(plane, people, opened)
    assert (await payment_of(plane, owner, payment.payment_id)).withdrawn_minor == 6377
    await tell(plane, people, replace(opened, event_id=uuid4().hex, kind=EventKind.DISPUTE_WON))
    assert (await payment_of(plane, owner, payment.payment_id)).withdrawn_minor == 0


async def test_what_paypal_tells_makes_us_look(plane: ControlPlane, people: People) -> None:
    owner, twin = await people.owner(), InMemoryPayments(plane.clock)
    providers = facade.Providers({"paypal": twin})
    payment = Payment(uuid7(), uuid7(), "paypal", 6377, "EUR", None, BACK, plane.clock.now())
    async with plane.database.write(owner.tenant_id) as session:
        await facade.request_payment(session, payment)
    tenant = NewCustomer(owner.tenant_id, "Acme", owner.email)
    waiting = await charges.make_charge(plane.database, providers, tenant, payment.payment_id, plane.clock)
    intake = Intake(plane.database, plane.system_database.session, providers, plane.clock)
    forged = PaymentEvent(
        uuid4().hex, EventKind.PAYMENT_SUCCEEDED, plane.clock.now(), waiting.provider_payment_id, payment.payment_id, 1
    )
    body, headers = twin.signed(replace(forged, currency="EUR"), plane.clock.now())
    await take(intake, "paypal", body, headers)
    assert (await payment_of(plane, owner, payment.payment_id)).status == PaymentStatus.REQUIRES_ACTION
    assert charges.REFRESH in {message.task for message in await drained(plane)}
    seen = await charges.look_again(plane.database, providers, owner.tenant_id, payment.payment_id, plane.clock)
    assert seen.status == PaymentStatus.REQUIRES_ACTION


# --- refunds ---


async def test_money_goes_back_once_and_never_more_than_came(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    payment_id = await paid(plane, owner)
    path = f"/api/operator/tenants/{owner.tenant_id}/payments/{payment_id}/refunds"
    key = uuid4().hex
    for _ in range(2):
        answer = await operator.post(path, {"amount_minor": 5000, "reason": "price was wrong"}, key)
        assert answer.status_code == 202, answer.text
    refused = await operator.post(path, {"amount_minor": 1378, "reason": "x"})
    assert problem(refused) == (409, "refund_too_large")
    (message,) = [each for each in await plane.run_tasks() if each.task == charges.REFUND]
    await plane.run_one(message)
    assert (await payment_of(plane, owner, payment_id)).refunded_minor == 5000
    assert problem(await operator.post(path, {"amount_minor": 1378, "reason": "x"})) == (409, "refund_too_large")
    assert (await operator.post(path, {"amount_minor": 1377, "reason": "x"})).status_code == 202
    await plane.run_tasks()
    assert (await payment_of(plane, owner, payment_id)).refunded_minor == 6377
    missing = f"/api/operator/tenants/{owner.tenant_id}/payments/{uuid4()}/refunds"
    assert problem(await operator.post(missing, {"amount_minor": 1, "reason": "x"})) == (404, "payment_not_found")
    assert problem(await operator.post(path, {"amount_minor": 0, "reason": "x"})) == (400, "invalid_request")


async def test_a_refund_that_failed_can_be_asked_for_again(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    payment = await payment_of(plane, owner, await paid(plane, owner))
    path = f"/api/operator/tenants/{owner.tenant_id}/payments/{payment.payment_id}/refunds"
    whole = {"amount_minor": 6377, "reason": "x"}
    assert (await operator.post(path, whole)).status_code == 202
    (message,) = [each for each in await plane.run_tasks() if each.task == charges.REFUND]
    plane.clock.advance(timedelta(minutes=5))
    failed = PaymentEvent(
        uuid4().hex,
        EventKind.REFUND_FAILED,
        plane.clock.now(),
        payment.provider_payment_id,
        None,
        6377,
        "EUR",
        f"refund_{message.args['refund_id']}",
    )
    assert problem(await operator.post(path, whole)) == (409, "refund_too_large")
    await tell(plane, people, failed)
    assert (await payment_of(plane, owner, payment.payment_id)).refunded_minor == 0
    assert (await operator.post(path, whole)).status_code == 202
    asked = [each.task for each in await drained(plane) if each.task != facade.MONEY_MOVED]
    assert asked == [charges.REFUND]


async def test_a_late_word_of_an_abandoned_page_keeps_the_id_of_the_payment(
    plane: ControlPlane, people: People
) -> None:
    owner = await people.owner()
    payment = await payment_of(plane, owner, await paid(plane, owner))
    late = PaymentEvent(
        uuid4().hex, EventKind.PAYMENT_FAILED, plane.clock.now(), "cs_1", payment.payment_id, 0, "EUR", code="expired"
    )
    await tell(plane, people, late)
    kept = await payment_of(plane, owner, payment.payment_id)
    assert (kept.status, kept.provider_payment_id) == (PaymentStatus.SUCCEEDED, payment.provider_payment_id)


async def test_payments_of_another_tenant_are_not_there(plane: ControlPlane, people: People) -> None:
    owner, stranger = await people.owner(), await people.owner()
    await paid(plane, owner)
    assert (await stranger.get("/api/tenants/{t}/payments")).json()["data"] == []


# --- reconciling ---


def intake_of(plane: ControlPlane) -> Intake:
    providers = facade.Providers({"stripe": plane.payments})
    return Intake(plane.database, plane.system_database.session, providers, plane.clock)


async def test_a_payment_that_nobody_told_us_of_is_found(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    payment_id = await request(plane, owner, await save_method(plane, owner))
    plane.payments.lose_answers()
    with pytest.raises(Unavailable):
        await plane.run_tasks()
    since = plane.clock.now() - timedelta(hours=1)
    for _ in range(2):
        assert await facade.reconcile(intake_of(plane), "stripe", since) == []
        payment = await payment_of(plane, owner, payment_id)
        assert (payment.status, payment.received_minor) == (PaymentStatus.SUCCEEDED, 6377)
        assert payment.provider_payment_id == f"payment_{payment_id}"


async def test_what_differs_is_named(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    payment_id = await paid(plane, owner)
    payment = await payment_of(plane, owner, payment_id)
    await plane.payments.refund(Refund(uuid7(), payment_id, payment.provider_payment_id, 500, "EUR"))
    stray = Charge(uuid7(), uuid7(), 4900, "EUR", "x", plane.payments.save_method())
    await plane.payments.charge(stray)
    found = await facade.reconcile(intake_of(plane), "stripe", plane.clock.now() - timedelta(hours=1))
    assert {(each.payment_id, each.what, each.booked, each.at_provider) for each in found} == {
        (payment_id, "refunded", 0, 500),
        (stray.payment_id, "a payment that nobody here asked for", 0, 4900),
    }
    assert await facade.reconcile(intake_of(plane), "stripe", plane.clock.now() + timedelta(hours=1)) == []


async def test_a_payment_that_was_charged_twice_is_named(plane: ControlPlane, people: People) -> None:
    payment_id = await paid(plane, await people.owner())
    since = plane.clock.now() - timedelta(hours=1)
    assert await facade.reconcile(intake_of(plane), "stripe", since) == []
    plane.payments.charge_again(payment_id)
    found = await facade.reconcile(intake_of(plane), "stripe", since)
    assert [(each.payment_id, each.what, each.at_provider) for each in found] == [
        (payment_id, "charged a second time", 6377)
    ]
