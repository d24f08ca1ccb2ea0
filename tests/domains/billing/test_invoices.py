"""Subscriptions and invoices: what becomes due becomes final once, with a number, in the books."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from omni.contracts.usage import INPUT_TOKENS, REQUESTS
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import Invoice, LegalEntity
from omni.domains.billing.documents.rules import check
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.service import issuing, subscribing
from omni.domains.ledger.contracts import Account
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import Flat, PerUnit, RateCard, UnitPrice
from omni.testing.control_plane import ControlPlane
from tests.domains.billing.sales import (
    CALLS,
    ENTITY,
    FEE,
    NOW,
    SEATS,
    SETUP,
    TOKENS,
    advance,
    balances,
    lines,
    publish,
    sandbox_tenant,
    subscribe,
    use,
    verified,
)
from tests.domains.people import People, problem


async def test_a_month_is_invoiced_with_its_usage_and_the_next_months_fee(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, SEATS, SETUP, CALLS, TOKENS)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro", seats=3)
    await use(plane, owner.tenant_id, NOW + timedelta(days=3), requests=7, input_tokens=1500)
    await use(plane, owner.tenant_id, NOW + timedelta(days=31), requests=100)  # is February's
    first, january = await advance(plane, owner, datetime(2026, 2, 2, tzinfo=UTC))
    assert lines(first) == [("fee", "base", 3000), ("fee", "seats", 3000), ("fee", "setup", 5000)]
    assert (first.net_minor, first.tax_minor, first.gross_minor) == (11_000, 2_420, 13_420)
    assert lines(january) == [
        ("usage", "calls", 7), ("usage", "tokens", 125), ("fee", "base", 3000), ("fee", "seats", 3000),
    ]  # fmt: skip
    assert january.gross_minor == 6132 + 1349
    assert (january.status, january.due_at) == ("final", datetime(2026, 2, 15, 1, tzinfo=UTC))
    one = 10_000_000
    assert await balances(plane, owner) == {
        Account.RECEIVABLE: (13_420 + 7481) * one, Account.TAX: -(2420 + 1349) * one,
        Account.REVENUE: -(11_000 + 132) * one, Account.DEFERRED: -6000 * one,
    }  # fmt: skip
    await verified(plane, owner)


async def test_an_upgrade_is_charged_to_the_second(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    await publish(plane, "pro", FEE)
    dearer = RateCard("base", "support", "Base fee", "EUR", Flat(90_000_000_000))
    await publish(plane, "enterprise", dearer)
    owner = await sandbox_tenant(plane, people, datetime(2026, 4, 1, tzinfo=UTC))
    await subscribe(plane, owner, "pro")
    await advance(plane, owner, datetime(2026, 4, 21, tzinfo=UTC))
    changed = await owner.post("/api/tenants/{t}/subscription/change", {"plan_code": "enterprise"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["plan_code"] == "enterprise"
    upgrade, may = await advance(plane, owner, datetime(2026, 5, 1, 2, tzinfo=UTC))
    assert lines(upgrade) == [("credit", "base", -1000), ("fee", "base", 3000)], "a third of April is left"
    assert lines(may) == [("fee", "base", 9000)]
    await verified(plane, owner)


async def test_a_sandbox_comes_to_the_same_day_by_day_as_at_once(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    """D6: twelve months."""
    await publish(plane, "pro", FEE, CALLS, anchor="anniversary")
    at_once, day_by_day = [
        await sandbox_tenant(plane, people, datetime(2026, 1, 31, 15, 30, tzinfo=UTC), time_zone="Europe/Ljubljana")
        for _ in range(2)
    ]
    found = []
    for owner in (at_once, day_by_day):
        await subscribe(plane, owner, "pro", trial_days=10)
        for month in range(2, 13):
            await use(plane, owner.tenant_id, datetime(2026, month, 9, 23, 30, tzinfo=UTC), requests=month)
    end = datetime(2027, 1, 31, 16, tzinfo=UTC)
    found.append(await advance(plane, at_once, end))
    steps: list[Invoice] = []
    day = datetime(2026, 1, 31, 15, 30, tzinfo=UTC)
    while day < end:
        day = min(end, day + timedelta(days=1))
        steps += await advance(plane, day_by_day, day)
    found.append(steps)
    told = [
        [(i.period_start, i.period_end, i.issued_at, lines(i), i.gross_minor) for i in invoices] for invoices in found
    ]
    assert told[0] == told[1]
    assert len([each for each in found[0] if each.number]) == 12
    await verified(plane, at_once)
    await verified(plane, day_by_day)


async def test_fifty_at_once_make_one_invoice_and_numbers_have_no_gap(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owners = [await sandbox_tenant(plane, people) for _ in range(5)]
    drafts: list[tuple[UUID, UUID]] = []
    for owner in owners:
        await subscribe(plane, owner, "pro")
        async with plane.database.read(owner.tenant_id) as session:
            drafts += [(owner.tenant_id, each.invoice_id) for each in await repository.list_newest(session, None, 9)]

    async def finalise(tenant_id: UUID, invoice_id: UUID) -> Invoice:
        async with plane.database.write(tenant_id) as session:
            return await issuing.finalise(session, invoice_id, NOW)

    assert len(drafts) == 5
    made = await asyncio.gather(*(finalise(*draft) for draft in drafts for _ in range(10)))
    numbers = {each.number for each in made if each.number is not None}
    assert len(numbers) == 5
    last = sorted(int(number.rpartition("-")[2]) for number in numbers)
    assert last == list(range(last[0], last[0] + 5))
    async with plane.system_database.session() as system:
        assert await billing.verify_numbers(system) == []


async def test_a_wrong_number_is_not_lost_with_a_failed_finalisation(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro")
    async with plane.database.read(owner.tenant_id) as session:
        (draft,) = await repository.list_newest(session, None, 9)

    async def fail() -> None:
        async with plane.database.write(owner.tenant_id) as session:
            assert (await issuing.finalise(session, draft.invoice_id, NOW)).number is not None
            raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError):
        await fail()
    async with plane.database.read(owner.tenant_id) as session:
        assert (await issuing.find(session, draft.invoice_id)).status == "draft"
    async with plane.system_database.session() as system:
        assert await billing.verify_numbers(system) == []


async def test_late_usage_makes_a_debit_note_and_a_wrong_price_a_credit_note(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", CALLS)
    owner, operator = await sandbox_tenant(plane, people), await people.operator()
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, NOW + timedelta(days=1), requests=1000)
    invoice = (await advance(plane, owner, datetime(2026, 2, 2, tzinfo=UTC)))[-1]
    path = f"/api/operator/tenants/{owner.tenant_id}/invoices/{invoice.invoice_id}/rerate"
    assert (await operator.post(path)).status_code == 204
    await use(plane, owner.tenant_id, NOW + timedelta(days=2), requests=500)
    async with plane.database.read(owner.tenant_id) as session:
        assert [each.check for each in await billing.verify_tenant(session)] == [
            "invoice usage × prices = line calls"
        ]  # fmt: skip
    debit = (await operator.post(path)).json()
    assert (debit["kind"], debit["net_minor"], debit["corrects_id"]) == ("invoice", 500, str(invoice.invoice_id))
    await verified(plane, owner)
    assert (await operator.post(path)).status_code == 204
    voided = await operator.post(path.replace("rerate", "void"))
    assert voided.json()["status"] == "void", voided.text
    notes = (await owner.get("/api/tenants/{t}/invoices")).json()["data"]
    assert [(each["kind"], each["net_minor"]) for each in notes[:2]] == [("credit_note", -1500), ("invoice", 500)]
    await verified(plane, owner)


async def test_a_month_that_came_to_nothing_keeps_its_lines_and_its_late_usage_is_billed(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    cheap = replace(CALLS, price=PerUnit(UnitPrice(10_000_000, per_quantity=1000)))
    await publish(plane, "pro", cheap)
    owner, operator = await sandbox_tenant(plane, people), await people.operator()
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, NOW + timedelta(days=1), requests=300)
    january = (await advance(plane, owner, datetime(2026, 2, 2, tzinfo=UTC)))[-1]
    assert (january.status, january.number, lines(january)) == ("void", None, [("usage", "calls", 0)])
    path = f"/api/operator/tenants/{owner.tenant_id}/invoices/{january.invoice_id}/rerate"
    assert (await operator.post(path)).status_code == 204
    await use(plane, owner.tenant_id, NOW + timedelta(days=2), requests=100)
    record = (await operator.post(path)).json()
    assert (record["status"], record["number"], record["lines"][0]["events"]) == ("void", None, 1)
    await verified(plane, owner)
    await use(plane, owner.tenant_id, NOW + timedelta(days=3), requests=3000)
    async with plane.database.read(owner.tenant_id) as session:
        assert [each.check for each in await billing.verify_tenant(session)] == ["invoice usage × prices = line calls"]
    debit = (await operator.post(path)).json()
    assert (debit["status"], debit["net_minor"], debit["lines"][0]["quantity"]) == ("final", 3, "3000.000000000000")
    await verified(plane, owner)
    assert (await operator.post(path)).status_code == 204
    correction = path.replace(str(january.invoice_id), record["id"])
    assert problem(await operator.post(correction)) == (409, "invoice_state")


async def test_a_payment_counts_once_and_what_is_too_much_pays_the_next(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owner, operator = await sandbox_tenant(plane, people), await people.operator()
    await subscribe(plane, owner, "pro")
    (first,) = await advance(plane, owner, NOW + timedelta(hours=2))
    path = f"/api/operator/tenants/{owner.tenant_id}/invoices/{first.invoice_id}/payments"
    for _ in range(2):
        paid = await operator.post(path, {"amount_minor": 5000, "reference": "BANK-1"})
    assert (paid.json()["status"], paid.json()["paid_minor"], paid.json()["due_minor"]) == ("paid", 3660, 0)
    (february,) = await advance(plane, owner, datetime(2026, 2, 2, tzinfo=UTC))
    assert (february.paid_minor, february.due_minor) == (1340, 2320)
    assert await balances(plane, owner) == {
        Account.CASH: 5000 * 10**7, Account.RECEIVABLE: 2320 * 10**7, Account.TAX: -1320 * 10**7,
        Account.REVENUE: -3000 * 10**7, Account.DEFERRED: -3000 * 10**7,
    }  # fmt: skip
    await verified(plane, owner)


async def test_cancelling_at_once_gives_back_what_is_left(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, CALLS)
    owner = await sandbox_tenant(plane, people, datetime(2026, 4, 1, tzinfo=UTC))
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, datetime(2026, 4, 2, tzinfo=UTC), requests=10)
    await advance(plane, owner, datetime(2026, 4, 11, tzinfo=UTC))
    ended = await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "now"})
    assert ended.json()["status"] == "cancelled"
    (note,) = await advance(plane, owner, datetime(2026, 6, 1, tzinfo=UTC))
    assert (note.kind, lines(note)) == ("credit_note", [("usage", "calls", 10), ("credit", "base", -2000)])
    assert (await balances(plane, owner))[Account.WALLET] == -(1990 + 438) * 10**7
    again = await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "now"})
    assert problem(again) == (404, "subscription_not_found")
    await verified(plane, owner)


async def test_a_fee_that_was_taken_back_is_not_given_back_again(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owner, operator = await sandbox_tenant(plane, people, datetime(2026, 4, 1, tzinfo=UTC)), await people.operator()
    await subscribe(plane, owner, "pro")
    (first,) = await advance(plane, owner, datetime(2026, 4, 2, tzinfo=UTC))
    voided = await operator.post(f"/api/operator/tenants/{owner.tenant_id}/invoices/{first.invoice_id}/void")
    assert voided.json()["status"] == "void"
    await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "now"})
    assert [each.status for each in await advance(plane, owner, datetime(2026, 5, 1, tzinfo=UTC))] == ["void"]
    assert await balances(plane, owner) == {}
    await verified(plane, owner)


async def test_a_pause_stops_use_and_billing(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people, datetime(2026, 4, 1, tzinfo=UTC))
    await subscribe(plane, owner, "pro")
    await advance(plane, owner, datetime(2026, 4, 16, tzinfo=UTC))
    assert (await owner.post("/api/tenants/{t}/subscription/pause")).json()["status"] == "paused"
    assert [lines(each) for each in await advance(plane, owner, datetime(2026, 8, 16, tzinfo=UTC))] == [
        [("credit", "base", -1500)]
    ]
    resumed = (await owner.post("/api/tenants/{t}/subscription/resume")).json()
    assert (resumed["status"], resumed["period_end"]) == ("active", "2026-09-01T00:00:00Z")
    (august,) = await advance(plane, owner, datetime(2026, 8, 17, tzinfo=UTC))
    assert lines(august) == [("fee", "base", 1548)], "16 of 31 days"
    await verified(plane, owner)


async def test_usage_without_a_plan_version_costs_what_the_price_list_says(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    async with plane.database.shared() as session:
        await pricing.seed_prices(session)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "free")
    await use(plane, owner.tenant_id, NOW + timedelta(days=1), requests=1000, input_tokens=2_000_000)
    invoice = (await advance(plane, owner, datetime(2026, 2, 2, tzinfo=UTC)))[-1]
    assert {(line.meter, line.net_minor) for line in invoice.lines} == {(REQUESTS, 50), (INPUT_TOKENS, 20)}
    events = await owner.get(f"/api/tenants/{{t}}/invoices/{invoice.invoice_id}/lines/1/events")
    assert len(events.json()["data"]) == 1
    await verified(plane, owner)


async def test_a_final_invoice_is_a_document_and_is_mailed(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, CALLS)
    owner = await sandbox_tenant(plane, people, language="sl")
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, NOW + timedelta(days=1), requests=1000)
    first, january = await advance(plane, owner, datetime(2026, 2, 2, tzinfo=UTC))
    pdf = await owner.get(f"/api/tenants/{{t}}/invoices/{january.invoice_id}/pdf")
    assert (pdf.status_code, pdf.headers["content-type"], pdf.content[:5]) == (200, "application/pdf", b"%PDF-")
    xml = await owner.get(f"/api/tenants/{{t}}/invoices/{january.invoice_id}/xml")
    assert str(january.number) in xml.text
    await plane.run_tasks()
    mails = [mail for mail in plane.mailbox.to(owner.email) if mail.attachments]
    assert [mail.subject for mail in mails] == [f"Račun {first.number}", f"Račun {january.number}"]
    assert mails[1].attachments[0].content == pdf.content


async def test_an_unpaid_invoice_is_reminded_of_and_then_service_ends_until_it_is_paid(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owner = await people.owner()
    start = plane.clock.now()
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.start(session, "pro", start)
    for days, status, tenant in (
        (0.1, "active", "active"), (15.1, "past_due", "active"), (21.2, "past_due", "active"),
        (28.2, "past_due", "active"), (35.2, "suspended", "suspended"),
    ):  # fmt: skip
        async with plane.database.write(owner.tenant_id) as session:
            await billing.bill_tenant(session, start + timedelta(days=days))
        found = (await owner.get("/api/tenants/{t}/subscriptions")).json()["data"]
        assert [each["status"] for each in found] == [status], days
        assert (await owner.get("/api/tenants/{t}")).json()["status"] == tenant
    await plane.run_tasks()
    sent = [mail for mail in plane.mailbox.to(owner.email) if mail.subject.startswith("Reminder")]
    first = [mail.text for mail in sent if mail.subject == sent[0].subject]
    assert ["the service stops" in text for text in first] == [False, False, True]
    async with plane.database.write(owner.tenant_id) as session:
        for invoice in await repository.list_newest(session, None, 9):
            if invoice.status == "final":
                paid = await billing.record_payment(session, invoice.invoice_id, invoice.due_minor, uuid4().hex, start)
                await billing.after_payment(session, paid, start + timedelta(days=36))
    assert (await owner.get("/api/tenants/{t}")).json()["status"] == "active"


async def test_nothing_is_billed_before_there_is_a_seller_and_the_run_does_the_rest(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owner, now = await people.owner(), plane.clock.now()
    open_session = plane.system_database.session
    assert await billing.find_due(plane.database, open_session, now) >= 1
    await plane.run_tasks()
    found = (await owner.get("/api/tenants/{t}/subscriptions")).json()["data"]
    assert [(each["plan_code"], each["status"]) for each in found] == [("free", "active")]


@pytest.mark.parametrize(
    ("profile", "category", "rate"),
    [
        ({"country": "SI"}, "S", "22"),
        ({"country": "DE"}, "S", "19"),
        ({"country": "DE", "vat_id": "DE136695976"}, "AE", "0"),
        ({"country": "US"}, "O", "0"),
    ],
)
async def test_taxes_follow_the_buyer(
    plane: ControlPlane, people: People, seller: LegalEntity, profile: dict[str, Any], category: str, rate: str
) -> None:
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people)
    body = {"name": "Buyer", **profile}
    saved = await owner.call("PUT", "/api/tenants/{t}/billing-profile", body)
    assert saved.status_code == 200, saved.text
    await subscribe(plane, owner, "pro")
    (invoice,) = await advance(plane, owner, NOW + timedelta(hours=2))
    assert [(tax.category, str(tax.rate)) for tax in invoice.taxes] == [(category, rate)]
    async with plane.database.read(owner.tenant_id) as session:
        document = await billing.load_document(session, invoice.invoice_id)
    assert document.totals.gross_minor == invoice.gross_minor
    check(document)


async def test_bad_input_is_refused_with_a_code(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner, operator = await people.owner(), await people.operator()
    profile = {"name": "Buyer", "country": "SI"}
    path = "/api/tenants/{t}/billing-profile"
    wrong = await owner.call("PUT", path, {**profile, "vat_id": "SI12345670"})
    assert wrong.status_code == 400
    assert problem(await owner.call("PUT", path, {**profile, "time_zone": "Mars"})) == (400, "unknown_time_zone")
    assert problem(await owner.call("PUT", path, {**profile, "currency": "XXX"})) == (400, "unknown_currency")
    unknown = {"plan_code": "nowhere"}
    assert problem(await owner.post("/api/tenants/{t}/subscriptions", unknown)) == (422, "unknown_plan")
    change = {"plan_code": "pro"}
    assert problem(await owner.post("/api/tenants/{t}/subscription/change", change)) == (404, "subscription_not_found")
    begun = await owner.post("/api/tenants/{t}/subscriptions", change)
    assert begun.status_code == 201, begun.text
    assert problem(await owner.post("/api/tenants/{t}/subscriptions", change)) == (409, "subscription_exists")
    assert problem(await owner.post("/api/tenants/{t}/subscription/resume")) == (409, "subscription_state")
    other = await people.owner()
    (draft,) = (await owner.get("/api/tenants/{t}/invoices")).json()["data"] or [{"id": str(uuid4())}]
    assert problem(await other.get(f"/api/tenants/{{t}}/invoices/{draft['id']}")) == (404, "invoice_not_found")
    pdf = await owner.get(f"/api/tenants/{{t}}/invoices/{draft['id']}/pdf")
    assert problem(pdf) == (409, "invoice_not_final")
    clock = f"/api/operator/tenants/{owner.tenant_id}/clock"
    at = {"at": "2026-01-01T00:00:00Z"}
    assert problem(await operator.post(clock, at)) == (409, "sandbox_too_late")
    assert problem(await operator.post(f"{clock}/advance", at)) == (409, "no_sandbox")
    other_prefix = {"name": "X", "country": "SI", "invoice_prefix": "NEW"}
    changed = await operator.call("PUT", f"/api/operator/legal-entities/{ENTITY.code}", other_prefix)
    assert problem(changed) == (409, "invoice_prefix_fixed")
