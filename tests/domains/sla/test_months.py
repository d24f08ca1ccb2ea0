"""Months are measured once and closed once: with one credit note where the promise was missed, and books that agree."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import pypdfium2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import Invoice, LegalEntity
from omni.domains.billing.documents.pdf import render_pdf
from omni.domains.billing.repository import invoices as invoice_repository
from omni.domains.billing.service import issuing, subscribing
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account
from omni.domains.sla import facade as sla
from omni.domains.sla.contracts import Month
from omni.domains.sla.service import closing
from omni.foundation.db.roles import DatabaseAddress
from omni.kit.errors import Conflict, Unavailable
from omni.testing.control_plane import ControlPlane
from tests.domains.billing.sales import FEE, balances, publish, verified
from tests.domains.people import People, Person
from tests.domains.sla.months import (
    DUE,
    NOVEMBER,
    OCTOBER,
    SLOT,
    api_down,
    bill,
    close,
    customer,
    events,
    go_to,
    log_in_again,
    promise,
    record,
    run,
    stored,
)

NOON = OCTOBER + timedelta(days=9, hours=12)
THREE_HOURS = timedelta(hours=3)


async def invoices(plane: ControlPlane, owner: Person) -> list[Invoice]:
    async with plane.database.read(owner.tenant_id) as session:
        return await invoice_repository.list_newest(session, None, 50)


async def notes(plane: ControlPlane, owner: Person) -> list[Invoice]:
    return [each for each in await invoices(plane, owner) if each.cause.startswith(issuing.SLA)]


async def agree(plane: ControlPlane, owner: Person) -> None:
    await verified(plane, owner)
    async with plane.database.read(owner.tenant_id) as session:
        assert await sla.verify_tenant(session) == []
        assert (await billing.usage_account(session, plane.clock.now())).differences == ()
        assert sum(each.amount_nanos for each in await ledger.balances(session)) == 0


async def served(plane: ControlPlane, people: People, **profile: Any) -> Person:
    """A customer with 1,000 good requests, whose API was down for three hours: 12 of 2,976 quarters, 99.596 %."""
    owner = await customer(plane, people, **profile)
    await record(plane, events(owner, NOON, 200, 1_000))
    plane.status_page.says = api_down(NOON + timedelta(days=1), THREE_HOURS)
    return owner


async def test_a_breach_becomes_a_credit_note_and_the_books_agree(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    await bill(plane, owner)
    before = await balances(plane, owner)
    month = await close(plane, owner)
    assert (month.outcome, month.slots, month.availability) == ("credited", 2976, 99_596)
    assert (month.base_minor, month.credit_percent, month.credit_minor) == (4_000, 10, 400)
    (note,) = await notes(plane, owner)
    assert (note.kind, note.net_minor, note.tax_minor, note.invoice_id) == ("credit_note", -400, -88, month.invoice_id)
    assert note.number is not None
    assert "CN-" in note.number
    (line,) = note.lines
    assert (line.kind, line.name) == (
        "sla_credit", "Service credit 2026-10: availability 99.596 %, below 99.900 %: 10 %",
    )  # fmt: skip
    after = await balances(plane, owner)
    assert before[Account.RECEIVABLE] - after[Account.RECEIVABLE] == 4_880_000_000
    closing_invoice = next(each for each in await invoices(plane, owner) if each.invoice_id == note.corrects_id)
    assert closing_invoice.credited_minor == 488
    assert closing_invoice.period_end == NOVEMBER
    await agree(plane, owner)


async def test_what_was_paid_already_goes_to_the_wallet(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    await bill(plane, owner)
    async with plane.database.write(owner.tenant_id) as session:
        for invoice in await invoice_repository.list_newest(session, None, 9):
            if invoice.due_minor:
                await billing.record_payment(
                    session, invoice.invoice_id, invoice.due_minor, f"bank:{invoice.number}", plane.clock.now()
                )
    await close(plane, owner)
    assert (await balances(plane, owner))[Account.WALLET] == -4_880_000_000
    await agree(plane, owner)


async def test_the_document_says_what_was_missed(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner = await served(plane, people, language="sl")
    go_to(plane, DUE)
    await bill(plane, owner)
    month = await close(plane, owner)
    assert month.invoice_id is not None
    async with plane.database.read(owner.tenant_id) as session:
        document = await billing.load_document(session, month.invoice_id)
    opened = pypdfium2.PdfDocument(render_pdf(document))
    shown = " ".join(page.get_textpage().get_text_bounded() for page in opened).split()
    assert "Dobropis za 2026-10: razpoložljivost 99,596 %, pod 99,900 %: 10 %" in " ".join(shown)
    opened.close()


async def test_of_twenty_closings_one_issues_the_credit_note(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    await bill(plane, owner)
    found = await asyncio.gather(*(close(plane, owner) for _ in range(20)))
    assert {(each.outcome, each.credit_minor, each.invoice_id) for each in found} == {
        ("credited", 400, found[0].invoice_id)
    }
    assert len(await notes(plane, owner)) == 1
    await agree(plane, owner)


async def test_of_twenty_that_settle_a_waiting_month_one_issues_the_credit_note(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    assert (await close(plane, owner)).outcome == "waiting"
    await bill(plane, owner)
    found = await asyncio.gather(*(close(plane, owner) for _ in range(20)))
    assert {(each.outcome, each.invoice_id) for each in found} == {("credited", found[0].invoice_id)}
    assert len(await notes(plane, owner)) == 1
    await agree(plane, owner)


async def test_the_run_waits_for_late_usage_and_closes_once(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE - timedelta(seconds=1))
    await bill(plane, owner)
    await run(plane)
    assert await stored(plane, owner) is None
    go_to(plane, DUE)
    assert await run(plane)
    month = await stored(plane, owner)
    assert month is not None
    assert month.outcome == "credited"
    plane.status_page.asked.clear()
    await run(plane)
    assert await stored(plane, owner) == month
    assert len(await notes(plane, owner)) == 1


async def test_without_the_status_page_no_month_is_measured(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    await bill(plane, owner)
    plane.status_page.away = True
    with pytest.raises(Unavailable) as raised:
        await run(plane)
    assert raised.value.code == "outages_unknown"
    assert await stored(plane, owner) is None
    await log_in_again(people, owner)
    answer = await owner.get("/api/tenants/{t}/sla/2026-10")
    assert (answer.status_code, answer.json()["code"]) == (503, "outages_unknown")
    plane.status_page.away = False
    await run(plane)
    month = await stored(plane, owner)
    assert month is not None
    assert month.outcome == "credited"


async def test_a_tenant_whose_month_fails_does_not_hold_up_the_others(
    plane: ControlPlane, people: People, seller: LegalEntity, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await served(plane, people), await served(plane, people)
    go_to(plane, DUE)
    for owner in (first, second):
        await bill(plane, owner)
    original = closing.close

    async def fails(session: Any, *args: Any) -> Month:
        if session.tenant_id == first.tenant_id:
            raise Conflict("sla_month_open", "planted")
        return await original(session, *args)

    monkeypatch.setattr(closing, "close", fails)
    with pytest.raises(Conflict):
        await run(plane)
    assert await stored(plane, first) is None
    assert await stored(plane, second) is not None
    monkeypatch.undo()
    await run(plane)


async def test_a_month_waits_until_its_invoices_are_final(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    month = await close(plane, owner)
    assert (month.outcome, month.credit_percent, month.closed_at) == ("waiting", 10, None)
    assert await notes(plane, owner) == []
    plane.status_page.away = True  # what was measured stays so
    await run(plane)
    assert (await stored(plane, owner)) == month
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.close_due(session, plane.clock.now())
    await run(plane)
    assert (await stored(plane, owner)) == month  # the last invoice is a draft
    await bill(plane, owner)
    await run(plane)
    settled = await stored(plane, owner)
    assert settled is not None
    assert (settled.outcome, settled.credit_minor, settled.measured_at) == ("credited", 400, month.measured_at)
    await agree(plane, owner)


@pytest.mark.parametrize(("down", "outcome"), [(timedelta(seconds=2678), "met"), (timedelta(seconds=2679), "waiting")])
async def test_just_above_a_threshold_it_is_kept(
    plane: ControlPlane, people: People, seller: LegalEntity, down: timedelta, outcome: str
) -> None:
    """October has 2,678,400 s: 2,678.4 of them are 0.1 %."""
    owner = await customer(plane, people)
    plane.status_page.says = api_down(NOON, down)
    go_to(plane, DUE)
    assert (await close(plane, owner)).outcome == outcome


async def test_what_is_free_credits_nothing(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner = await customer(plane, people, None)
    await promise(plane, "free")
    plane.status_page.says = api_down(NOON, THREE_HOURS)
    go_to(plane, DUE)
    month = await close(plane, owner)
    assert (month.outcome, month.base_minor, month.credit_minor) == ("nothing_to_credit", 0, 0)
    await promise(plane, "free", ())


async def test_a_plan_promises_for_months_that_begin_later(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await customer(plane, people)
    go_to(plane, OCTOBER + timedelta(days=1))
    version = await promise(plane, "pro", ())
    plane.status_page.says = api_down(NOON, THREE_HOURS)
    go_to(plane, DUE)
    month = await close(plane, owner)
    assert (month.outcome, month.table_version) == ("waiting", version - 1)
    go_to(plane, DUE + timedelta(days=30))
    plane.status_page.says = api_down(NOVEMBER + timedelta(days=3), THREE_HOURS)
    later = await close(plane, owner, date(2026, 11, 1))
    assert (later.outcome, later.table_version) == ("no_sla", version)


async def test_late_usage_does_not_rewrite_a_closed_month(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner, operator = await served(plane, people), await people.operator()
    go_to(plane, DUE)
    await bill(plane, owner)
    month = await close(plane, owner)
    await log_in_again(people, operator)
    path = f"/api/operator/tenants/{owner.tenant_id}/sla/2026-10"
    again = (await operator.get(f"{path}/recalculated")).json()
    assert again["differs"] is False
    for name in ("availability_percent", "credit_percent", "slots", "table_version"):
        assert again["now"][name] == again["stored"][name]
    assert again["now"]["evidence"]["losses"] == again["stored"]["evidence"]["losses"]
    await record(plane, events(owner, NOON + 5 * SLOT, 503, 3))
    again = (await operator.get(f"{path}/recalculated")).json()
    assert (again["differs"], again["now"]["availability_percent"]) == (True, "99.563")
    assert (await operator.post(f"{path}/close")).json()["availability_percent"] == "99.596"
    assert await stored(plane, owner) == month
    await agree(plane, owner)


async def test_an_invoice_that_is_taken_back_afterwards_is_credited_once(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    await bill(plane, owner)
    await close(plane, owner)
    (note,) = await notes(plane, owner)
    assert note.corrects_id is not None
    async with plane.database.write(owner.tenant_id) as session:
        await issuing.void(session, note.corrects_id, plane.clock.now())
    about = [each for each in await invoices(plane, owner) if note.corrects_id in (each.invoice_id, each.corrects_id)]
    assert len(about) == 3
    assert sum(each.gross_minor for each in about) == 0
    await agree(plane, owner)


async def test_rating_again_leaves_the_credit_alone(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner = await served(plane, people)
    go_to(plane, DUE)
    await bill(plane, owner)
    await close(plane, owner)
    (note,) = await notes(plane, owner)
    assert note.corrects_id is not None
    async with plane.database.write(owner.tenant_id) as session:
        assert await issuing.rerate(session, note.corrects_id, plane.clock.now()) is None
    await record(plane, events(owner, NOON, 200, 100))
    async with plane.database.write(owner.tenant_id) as session:
        made = await issuing.rerate(session, note.corrects_id, plane.clock.now())
    assert made is not None
    assert made.net_minor == 100
    await agree(plane, owner)


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("update sla_months set credit_minor = 399 where tenant_id = :t", "base × percent"),
        ("update sla_months set availability = 99597 where tenant_id = :t", "evidence"),
        ("update sla_months set evidence = jsonb_set(evidence, '{losses,0,down_micros}', '1') where tenant_id = :t",
         "evidence"),
        ("delete from sla_months where tenant_id = :t", "credit note"),
        ("update invoices set cause = 'sla:2026-09' where tenant_id = :t and cause = 'sla:2026-10'", "credit note"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_together_is_found(
    plane: ControlPlane, people: People, seller: LegalEntity, database_address: DatabaseAddress, statement: str,
    check: str,
) -> None:  # fmt: skip
    owner = await served(plane, people)
    go_to(plane, DUE)
    await bill(plane, owner)
    await close(plane, owner)
    engine = create_async_engine(database_address.url(), poolclass=NullPool)
    async with engine.connect() as admin:
        await admin.execute(text(statement), {"t": owner.tenant_id})
        await admin.commit()
    await engine.dispose()
    async with plane.database.read(owner.tenant_id) as session:
        found = await sla.verify_tenant(session)
    assert f"sla month = {check}" in {each.check for each in found}


async def test_fees_of_a_longer_period_count_by_the_month(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    """A quarter is paid in advance: what lies in October is counted, to the day."""
    owner = await people.owner()

    await publish(plane, "enterprise", FEE, interval="quarter")
    await promise(plane, "enterprise")
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.start(session, "enterprise", plane.clock.now())
    plane.status_page.says = api_down(NOON, THREE_HOURS)
    go_to(plane, DUE)
    await bill(plane, owner)
    assert (await close(plane, owner)).outcome == "waiting"
    go_to(plane, datetime(2027, 1, 2, tzinfo=OCTOBER.tzinfo))
    await bill(plane, owner)
    await run(plane)
    month = await stored(plane, owner)
    assert month is not None
    assert (month.outcome, month.base_minor) == ("credited", 1011)  # 30 EUR × 31 / 92
    assert month.evidence is not None
    assert [each["share"] for each in month.evidence["charges"]] == ["31/92"]
    await agree(plane, owner)
