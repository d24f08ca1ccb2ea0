"""T6: `omni billing verify` finds what was counted twice, lost, billed wrongly or not booked, and nothing else."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from omni.apps import verification
from omni.apps.cli import billing as command
from omni.contracts.usage import UsageEvent
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import NOTHING, Counted, Invoice, LegalEntity, SaleState
from omni.domains.billing.rules.usage_account import add
from omni.domains.billing.service import issuing, subscribing
from omni.domains.metering import facade as metering
from omni.domains.metering.contracts import Meter
from omni.domains.metering.rules.stream import instant
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import PerUnit, PlanTerms, Product, RateCard, UnitPrice
from omni.domains.pricing.service.products import put_product
from omni.foundation.db.roles import DatabaseAddress
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.billing.months import METERS, PRODUCTS
from tests.domains.billing.sales import CALLS, FEE, publish
from tests.domains.billing.test_paying import newest
from tests.domains.billing.test_stored_months import PROJECTS, stored_terms
from tests.domains.people import People, Person
from tests.domains.pricing.cards import MODELS

DAY = timedelta(days=1)
Row = dict[str, Any]


@dataclass
class Shop:
    """A tenant whose first month is invoiced and whose second runs, and what the command says of it."""

    plane: ControlPlane
    owner: Person
    operator: Person
    address: DatabaseAddress
    meter: str
    begun: datetime

    async def report(self, at: datetime, gigabytes: str, event_id: str = "") -> None:
        event = {
            "specversion": "1.0", "id": event_id or uuid4().hex, "source": "/shop", "type": self.meter,
            "time": at.isoformat(), "data": {"gigabytes": gigabytes},
        }  # fmt: skip
        async with self.plane.database.write(self.owner.tenant_id) as session:
            reporter = metering.Reporter("live", self.owner.project_id)
            done = await metering.ingest(session, [event], reporter, self.plane.clock.now())
        assert done.rejected == 0

    async def call(self, at: datetime, **quantities: int) -> None:
        async with self.plane.system_database.session() as session:
            await metering.record(session, [usage_event(self.owner.tenant_id, at, "live", **quantities)])

    async def bill(self) -> Invoice:
        async with self.plane.database.write(self.owner.tenant_id) as session:
            await billing.bill_tenant(session, self.plane.clock.now())
        return await newest(self.plane, self.owner)

    async def rerate(self, invoice: Invoice) -> Row:
        path = f"/api/operator/tenants/{self.owner.tenant_id}/invoices/{invoice.invoice_id}/rerate"
        answer = await self.operator.post(path)
        assert answer.status_code == 200, answer.text
        made: Row = answer.json()
        return made

    async def meddle(self, statement: str, **values: object) -> None:
        """What no role of the platform may do; `:t` is the tenant, `:m` the meter."""
        engine = create_async_engine(self.address.url(), poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(text("set session_replication_role = replica"))
            done = await connection.execute(text(statement), {"t": self.owner.tenant_id, "m": self.meter, **values})
            assert done.rowcount > 0
        await engine.dispose()


@pytest.fixture(autouse=True)
def nothing_is_being_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a difference need not be looked at again."""
    monkeypatch.setattr(verification, "BOOKING_SECONDS", 0.0)


@pytest.fixture
async def shop(
    plane: ControlPlane, people: People, seller: LegalEntity, database_address: DatabaseAddress, redis_url: str,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> Shop:  # fmt: skip
    for name, value in (
        ("HOME", str(tmp_path)), ("DATABASE_URL", database_address.admin_url), ("REDIS_URL", redis_url),
        ("MASTER_KEY", b64encode(database_address.master_key.material).decode()),
    ):  # fmt: skip
        monkeypatch.setenv(f"OMNI_{name}", value)
    meter = f"gigabytes_{uuid4().hex[:8]}"
    async with plane.database.shared() as session:
        await metering.add_meter(
            session,
            Meter(
                meter, "Gigabytes", "gigabyte", "", "sum", meter, "gigabytes", dimensions=("source",), scope="operator",
            ),
        )  # fmt: skip
    card = RateCard("gigabytes", "api", "Gigabytes", "EUR", PerUnit(UnitPrice(20_000_000)), meter=meter)
    await publish(plane, "pro", FEE, CALLS, card, anchor="anniversary")
    begun = plane.clock.now() - 40 * DAY
    async with plane.system_database.session() as system:
        await metering.ensure_partitions(system, plane.clock.now())
    owner = await people.owner()
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.start(session, "pro", begun)
    return Shop(plane, owner, await people.operator(), database_address, meter, begun)


async def used(shop: Shop) -> Invoice:
    """Three events and two calls in the month that is invoiced, two events and a call since then, and tokens that no
    price sells."""
    now = shop.plane.clock.now()
    for days, gigabytes in ((34, "1.5"), (34, "0.25"), (20, "3")):
        await shop.report(now - days * DAY, gigabytes)
    for days in (33, 20):
        await shop.call(now - days * DAY, requests=1, input_tokens=7)
    invoice = await shop.bill()
    for days, gigabytes in ((3, "10"), (1, "0.125")):
        await shop.report(now - days * DAY, gigabytes)
    await shop.call(now - DAY, requests=1, input_tokens=7)
    return invoice


async def told(shop: Shop, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and standard output of `omni billing verify` for the tenant."""

    def run() -> int:
        try:
            command.app(args=["verify", "--tenant", str(shop.owner.tenant_id), *arguments], prog_name="omni billing")
        except SystemExit as end:
            return int(end.code or 0)
        raise AssertionError("the command says how it ended")

    capsys.readouterr()
    code = await asyncio.to_thread(run)
    return code, capsys.readouterr().out


async def as_json(shop: Shop, capsys: pytest.CaptureFixture[str]) -> tuple[int, Row]:
    code, out = await told(shop, capsys, "--json")
    return code, json.loads(out)


async def agrees(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Row:
    code, found = await as_json(shop, capsys)
    assert (code, found["differences"]) == (0, [])
    assert found["billed_events"] == found["unique_events"]
    return found


def row(found: Row, meter: str, state: str = "sold") -> Row:
    (only,) = [each for each in found["meters"] if (each["meter"], each["state"]) == (meter, state)]
    return {
        name: (only[name]["events"], only[name]["quantity"]) for name in ("events", "rollups", "invoices", "upcoming")
    }


async def test_each_record_is_shown_and_what_is_not_sold_is_told_apart(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    invoice = await used(shop)
    found = await agrees(shop, capsys)
    five = (5, "14.875")
    assert row(found, shop.meter) == {
        "events": five,
        "rollups": five,
        "invoices": (3, "4.75"),
        "upcoming": (2, "10.125"),
    }
    assert row(found, "requests") == {"events": (3, 3), "rollups": (3, 3), "invoices": (2, 2), "upcoming": (1, 1)}
    assert row(found, "input_tokens", "not sold") == {
        "events": (3, 21), "rollups": (3, 21), "invoices": (0, 0), "upcoming": (0, 0),
    }  # fmt: skip
    assert (found["unique_events"], found["billed_events"]) == (8, 8)
    net = 2 * 3000 + invoice.net_minor - 3000  # the first month's fee, and what closes it
    assert [(each["net_minor"], each["booked_nanos"]) for each in found["books"]] == [(net, net * 10**7)]
    code, out = await told(shop, capsys)
    assert (code, out.splitlines()[-1]) == (0, "billed == unique: 8 events, difference 0")


Plant = Callable[[Shop, Invoice], Awaitable[None]]


async def counted_twice(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle(f"update event_rollups set events = events + 1, total = total + 3 where {ONE_ROLLUP}")


async def lost_from_a_rollup(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle(f"update event_rollups set events = events - 1, total = total - 3 where {ONE_ROLLUP}")


ONE_ROLLUP = """(tenant_id, meter, starts_at) = (select tenant_id, meter, max(starts_at) from event_rollups
                where tenant_id = :t and meter = :m group by 1, 2)"""


async def call_lost_from_a_rollup(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle("""
        update usage_rollups set events = events - 1, quantity = quantity - 1
        where tenant_id = :t and meter = 'requests'
          and starts_at = (select max(starts_at) from usage_rollups where tenant_id = :t)
    """)


async def lost_from_the_events(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle("""
        delete from ingested_events where tenant_id = :t and occurred_at = (
            select max(occurred_at) from ingested_events where tenant_id = :t)
    """)


async def wrong_quantity_on_a_line(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle(
        "update invoice_lines set quantity = quantity + 0.000000000001 where invoice_id = :i and meter = :m",
        i=invoice.invoice_id,
    )


async def wrong_count_on_a_line(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle(
        "update invoice_lines set events = events + 1 where invoice_id = :i and meter = :m", i=invoice.invoice_id
    )


async def not_in_the_books(shop: Shop, invoice: Invoice) -> None:
    """The balances go with the entries, so the books alone look right."""
    values = {"n": invoice.number, "k": invoice.kind}
    posted = "(select id from ledger_transactions where tenant_id = :t and kind = :k and reference = :n)"
    await shop.meddle(
        f"""
        update ledger_balances b set amount_nanos = b.amount_nanos - e.amount_nanos
        from (select account, currency, sum(amount_nanos) as amount_nanos from ledger_entries
              where tenant_id = :t and transaction_id = {posted} group by 1, 2) as e
        where b.tenant_id = :t and (b.account, b.currency) = (e.account, e.currency)
        """,
        **values,
    )
    await shop.meddle(f"delete from ledger_entries where tenant_id = :t and transaction_id = {posted}", **values)


async def a_day_between_two_invoices(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle(
        "update invoices set period_start = period_start + interval '1 day' where id = :i", i=invoice.invoice_id
    )


async def its_usage_is_forgotten(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle(
        "update invoices set basis = jsonb_set(basis, '{usage}', '[]') where id = :i", i=invoice.invoice_id
    )


async def invoiced_twice(shop: Shop, invoice: Invoice) -> None:
    await shop.meddle(
        """
        insert into invoice_lines
        select tenant_id, invoice_id, 100 + position, kind, card, product, name, meter, filters, dimensions,
            period_start, period_end, quantity, events, amount, net_minor, steps, tax_category, tax_rate
        from invoice_lines where invoice_id = :i and meter = :m
        """,
        i=invoice.invoice_id,
    )


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        (counted_twice, "usage events = rollups"),
        (lost_from_a_rollup, "usage events = rollups"),
        (call_lost_from_a_rollup, "usage events = rollups"),
        (lost_from_the_events, "usage events = rollups"),
        (wrong_quantity_on_a_line, "usage events = invoice lines"),
        (wrong_count_on_a_line, "usage events = invoice lines"),
        (not_in_the_books, "invoice net = ledger"),
        (a_day_between_two_invoices, "invoiced spans follow each other"),
        (its_usage_is_forgotten, "usage events = invoice lines"),
        (invoiced_twice, "usage events = invoice lines"),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
async def test_a_planted_fault_is_found(
    shop: Shop, capsys: pytest.CaptureFixture[str], plant: Plant, check: str
) -> None:
    invoice = await used(shop)
    await agrees(shop, capsys)
    await shop.plane.run_tasks()  # the invoice goes out as it should be, and is no task of the next test
    await plant(shop, invoice)
    code, found = await as_json(shop, capsys)
    assert code == 1
    assert check in {each["check"] for each in found["differences"]}
    code, out = await told(shop, capsys)
    assert (code, out.splitlines()[-1].partition(":")[0]) == (1, "billed != unique")


async def has_document(shop: Shop, invoice: Row) -> bool:
    return (await shop.owner.get(f"/api/tenants/{{t}}/invoices/{invoice['id']}/pdf")).status_code == 200


async def test_late_usage_is_a_difference_until_the_invoice_is_rated_again(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    invoice = await used(shop)
    await shop.report(shop.plane.clock.now() - 30 * DAY, "0.001", "late")
    await shop.call(shop.plane.clock.now() - 30 * DAY, requests=4)
    code, found = await as_json(shop, capsys)
    late = [each for each in found["differences"] if each["check"] == "usage events = invoice lines"]
    assert (code, sorted((each["left"], each["right"]) for each in late)) == (1, [(3, 2), (4, 3)])
    assert all(str(invoice.number) in each["what"] for each in late)
    debit = await shop.rerate(invoice)
    assert sorted((line["meter"], line["events"], line["net_minor"]) for line in debit["lines"]) == [
        (shop.meter, 1, 0), ("requests", 1, 4),
    ]  # fmt: skip
    assert await has_document(shop, debit)
    assert row(await agrees(shop, capsys), shop.meter)["invoices"] == (4, "4.751")


async def test_late_usage_that_costs_nothing_is_on_record_without_a_document(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    invoice = await used(shop)
    await shop.report(shop.plane.clock.now() - 30 * DAY, "0.001", "late")
    assert (await as_json(shop, capsys))[0] == 1
    made = await shop.rerate(invoice)
    assert (made["status"], made["number"], made["lines"][0]["quantity"]) == ("void", None, "0.001000000000")
    assert row(await agrees(shop, capsys), shop.meter)["invoices"] == (4, "4.751")
    path = f"/api/operator/tenants/{shop.owner.tenant_id}/invoices/{invoice.invoice_id}/rerate"
    assert (await shop.operator.post(path)).status_code == 204


@pytest.mark.parametrize("little", [0, 1], ids=["without usage", "with little usage"])
async def test_late_usage_of_a_month_that_came_to_nothing_is_billed(
    shop: Shop, capsys: pytest.CaptureFixture[str], little: int
) -> None:
    """Nothing is due of a plan without fees when its month ends; what is reported afterwards is."""
    card = RateCard("gigabytes", "api", "Gigabytes", "EUR", PerUnit(UnitPrice(20_000_000)), meter=shop.meter)
    await publish(shop.plane, "enterprise", card, anchor="anniversary")
    shop.owner = await People(shop.plane, shop.owner.client).owner()
    profile = {"name": "Käufer GmbH", "country": "DE", "vat_id": "DE136695976"}
    assert (await shop.owner.call("PUT", "/api/tenants/{t}/billing-profile", profile)).status_code == 200
    async with shop.plane.database.write(shop.owner.tenant_id) as session:
        await subscribing.start(session, "enterprise", shop.begun)
    if little:
        await shop.report(shop.plane.clock.now() - 30 * DAY, "0.001")
    nothing = await shop.bill()
    assert (nothing.status, nothing.number, len(nothing.lines)) == ("void", None, little)
    assert (await agrees(shop, capsys))["billed_events"] == little
    await shop.report(shop.plane.clock.now() - 29 * DAY, "100", "late")
    async with shop.plane.database.read(shop.owner.tenant_id) as session:
        assert {each.check for each in await billing.verify_tenant(session)} == {
            "invoice usage × prices = line gigabytes"
        }  # fmt: skip
    assert (await as_json(shop, capsys))[0] == 1
    debit = await shop.rerate(nothing)
    assert (debit["status"], debit["net_minor"], debit["corrects_id"]) == ("final", 200, str(nothing.invoice_id))
    ((category, reason),) = [(tax["category"], tax["reason"]) for tax in debit["taxes"]]
    assert (category, bool(reason)) == ("AE", True), "there was no tax to say it of when the month came to nothing"
    assert await has_document(shop, debit)
    assert row(await agrees(shop, capsys), shop.meter)["invoices"] == ((2, "100.001") if little else (1, 100))


async def test_usage_of_an_invoice_that_was_taken_back_and_usage_outside_of_what_is_billed(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    invoice = await used(shop)
    operator = f"/api/operator/tenants/{shop.owner.tenant_id}/invoices/{invoice.invoice_id}/void"
    assert (await shop.operator.post(operator)).json()["status"] == "void"
    found = await agrees(shop, capsys)
    assert row(found, shop.meter, "taken back")["events"] == (3, "4.75")
    assert row(found, shop.meter)["upcoming"] == (2, "10.125")
    async with shop.plane.database.write(shop.owner.tenant_id) as session:
        await subscribing.cancel(session, shop.plane.clock.now() - timedelta(hours=2), at_once=True)
    await shop.report(shop.plane.clock.now() - timedelta(hours=1), "5")
    found = await agrees(shop, capsys)
    assert row(found, shop.meter, "not sold")["events"] == (1, 5)


async def test_usage_before_the_first_billing_run_is_not_due(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.owner = await People(shop.plane, shop.owner.client).owner()
    await shop.report(shop.plane.clock.now(), "5")
    found = await agrees(shop, capsys)
    assert row(found, shop.meter, "not due")["events"] == (1, 5)
    assert found["unique_events"] == 0


async def test_an_unknown_tenant_is_said_to_be_none(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.owner.tenant_id = UUID(int=7)
    assert await told(shop, capsys) == (1, "")


@pytest.mark.parametrize("seed", range(12))
async def test_any_plan_bills_what_its_prices_sell_and_the_rest_is_not_sold(
    plane: ControlPlane, people: People, seller: LegalEntity, seed: int
) -> None:
    """Beside a count of our own, event by event: random cards with filters, minimums, tiers and percentages."""
    chance, now = random.Random(f"account {seed}"), plane.clock.now()
    terms = replace(stored_terms(chance, "EUR"), anchor="anniversary")
    async with plane.database.shared() as shared:
        for product in PRODUCTS:
            await put_product(shared, Product(product, product.title()))
        await pricing.publish_plan_version(shared, "pro", terms, now)
    owner, begun = await people.owner(), now - 40 * DAY

    async def use(count: int) -> list[UsageEvent]:
        moments = [begun + (now - begun) * chance.uniform(-0.1, 1) for _ in range(count)]
        made = [
            replace(
                usage_event(owner.tenant_id, at, "live", **{chance.choice(METERS): chance.randrange(1, 60)}),
                model=chance.choice(MODELS),
                project_id=chance.choice(PROJECTS),
            )
            for at in moments
        ]
        async with plane.system_database.session() as system:
            await metering.ensure_partitions(system, now)
            await metering.record(system, made)
        return made

    used = await use(60)
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.start(session, "pro", begun)
        await billing.bill_tenant(session, now)
    used += await use(20)
    async with plane.database.write(owner.tenant_id) as session:
        for invoice in await billing.list_newest(session, None, 9):
            await issuing.rerate(session, invoice.invoice_id, now)
        account = await billing.usage_account(session, now)
    assert account.differences == ()
    assert {(each.meter, each.state): (each.events, add(each.invoices, each.upcoming)) for each in account.meters} == {
        key: (counted, counted if key[1] == "sold" else NOTHING)
        for key, counted in counted_one_by_one(terms, used, begun).items()
    }


def counted_one_by_one(
    terms: PlanTerms, used: list[UsageEvent], begun: datetime
) -> dict[tuple[str, SaleState], Counted]:
    found: dict[tuple[str, SaleState], Counted] = {}
    for event in used:
        ((meter, value),) = event.quantities.items()
        sold = sum(
            card.meter == meter
            and all(str(event.project_id) in each.values for each in card.filters)
            and instant(event.occurred_at_micros) >= begun
            for card in terms.rate_cards
        )
        key: tuple[str, SaleState] = (meter, "sold" if sold else "not sold")
        for _ in range(sold or 1):
            found[key] = add(found.get(key, NOTHING), Counted(1, Fraction(value)))
    return found
