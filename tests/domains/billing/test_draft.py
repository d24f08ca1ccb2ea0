"""The draft invoice: exact, priced by the hour, equal to the events."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from omni.domains.billing.rules.draft import invoice_lines
from omni.domains.billing.service.draft import verify_draft
from omni.domains.metering import service as metering
from omni.domains.metering.contracts import HourlyUsage
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import Price
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.testing.usage import usage_event
from tests.domains.people import People

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def priced(usage: list[HourlyUsage], prices: list[Price], currency: str = "EUR") -> list[tuple[str, int, int]]:
    lines, _ = invoice_lines(
        usage, lambda meter, moment, model: pricing.price_at(prices, meter, moment, model), currency
    )
    return [(line.meter, line.quantity, line.amount_minor) for line in lines]


@pytest.mark.parametrize(
    ("quantity", "nanos", "per", "currency", "minor"),
    [
        (10**9, 100, 1, "EUR", 10_000),
        (1, 5_000_000, 1, "EUR", 0),
        (3, 5_000_000, 1, "EUR", 2),
        (1, 500_000_000, 1, "JPY", 0),
        (3, 500_000_000, 1, "JPY", 2),
        (1, 1_500_000, 1, "BHD", 2),
        (2_500, 20_000_000, 1_000, "EUR", 5),
    ],
    ids=["a billion small ones", "half to even down", "half to even up", "yen down", "yen up", "dinar", "per thousand"],
)
def test_a_line_is_rounded_once_half_even(quantity: int, nanos: int, per: int, currency: str, minor: int) -> None:
    usage = [HourlyUsage("pages", NOON, quantity, 1)]
    assert priced(usage, [Price("pages", currency, NOON, nanos, per)], currency) == [("pages", quantity, minor)]


def test_rounding_happens_per_line_and_not_per_hour() -> None:
    usage = [HourlyUsage("pages", NOON + timedelta(hours=step), 1, 1) for step in range(10)]
    assert priced(usage, [Price("pages", "EUR", NOON, 1_000_000, 1)]) == [("pages", 10, 1)]


def test_a_new_price_opens_a_new_line() -> None:
    usage = [HourlyUsage("pages", NOON + timedelta(hours=step), 10, 1) for step in range(3)]
    prices = [
        Price("pages", "EUR", NOON, 10_000_000, 1),
        Price("pages", "EUR", NOON + timedelta(hours=2), 20_000_000, 1),
    ]
    assert priced(usage, prices) == [("pages", 20, 20), ("pages", 10, 20)]


def test_a_meter_without_a_price_is_named() -> None:
    lines, unpriced = invoice_lines([HourlyUsage("pages", NOON, 1, 1)], lambda meter, moment, model: None, "EUR")
    assert (lines, unpriced) == ((), ("pages",))


def test_random_months_equal_exact_fractions() -> None:
    chance = random.Random(20261123)
    for _ in range(2_000):
        currency, exponent = chance.choice((("EUR", 2), ("JPY", 0), ("BHD", 3)))
        nanos, per = chance.randrange(10**10), chance.choice((1, 7, 1000, 10**6))
        usage = [
            HourlyUsage("m", NOON + timedelta(hours=hour), chance.randrange(10**6), 1)
            for hour in range(chance.randrange(1, 20))
        ]
        exact = Fraction(sum(hour.quantity for hour in usage) * nanos, per) * 10**exponent / 10**9
        ((_, _, amount),) = priced(usage, [Price("m", currency, NOON, nanos, per)], currency)
        assert amount == round(exact)  # Fraction rounds half to even


@pytest.fixture
async def book(system_database: SystemDatabase) -> None:
    async with system_database.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
        await metering.seed_meters(session)
        await pricing.seed_prices(session)


async def test_the_draft_equals_the_events_and_test_usage_is_free(
    people: People, system_database: SystemDatabase, book: None
) -> None:
    person, now = await people.owner(), datetime.now(UTC)
    async with system_database.session() as session:
        live = [usage_event(person.tenant_id, now, requests=1, pages=3) for _ in range(7)]
        await metering.record(session, [*live, usage_event(person.tenant_id, now, "test", pages=500)])
    draft = (await person.get("/api/tenants/{t}/invoices/draft")).json()
    lines = {line["meter"]: (line["quantity"], line["amount_minor"], line["events"]) for line in draft["lines"]}
    assert lines == {"requests": (7, 0, 7), "pages": (21, 21, 7)}
    assert (draft["total_minor"], draft["total"], draft["unpriced"]) == (21, "0.21 EUR", [])


async def test_verify_finds_a_planted_difference(
    database: Database, system_database: SystemDatabase, book: None
) -> None:
    tenant_id, now = uuid4(), datetime.now(UTC)
    async with system_database.session() as session:
        await metering.record(session, [usage_event(tenant_id, now, pages=1000)])
    assert await verified(database, tenant_id) == 0
    plant = text("update usage_rollups set quantity = quantity + :by where tenant_id = :t")
    async with system_database.session() as session:
        await session.execute(plant, {"t": tenant_id, "by": 5})
    assert await verified(database, tenant_id) == 1
    async with system_database.session() as session:
        await session.execute(plant, {"t": tenant_id, "by": -5})


async def verified(database: Database, tenant_id: UUID) -> int:
    async with database.read(tenant_id) as session:
        return len(await verify_draft(session, datetime.now(UTC)))


@pytest.mark.parametrize("month", ["2026-13", "1999-01", "november"])
async def test_a_month_that_is_none_is_refused(people: People, month: str) -> None:
    answer = await (await people.owner()).get("/api/tenants/{t}/invoices/draft?month=" + month)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
