"""Whole months through the database: recorded, measured, rated, discounted, taxed and issued as the oracle says."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from omni.domains.billing.contracts import LegalEntity
from omni.domains.billing.service import redeeming
from omni.domains.billing.service.document import document_of
from omni.domains.metering import facade as metering
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import Coupon, Filter, Flat, PlanTerms, PriceInEvent, Product, RateCard
from omni.domains.pricing.service.coupons import add_coupon
from omni.domains.pricing.service.products import put_product
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.billing.months import CURRENCIES, METERS, PRODUCTS, random_coupon, random_terms
from tests.domains.billing.oracle import ALL_FEES, Event, Month, Stretch, bill
from tests.domains.billing.sales import NOW, advance, sandbox_tenant, subscribe, verified
from tests.domains.people import People, Person
from tests.domains.pricing.cards import MODELS

FEBRUARY, MARCH = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
PROJECTS = (UUID(int=1), UUID(int=2))
STANDARD = Decimal(22)


def stored_terms(chance: random.Random, currency: str) -> PlanTerms:
    """Random terms for the gateway's own events, which carry no prices; their projects are ids."""
    terms = random_terms(chance, currency)
    return replace(terms, rate_cards=tuple(map(_stored_card, terms.rate_cards)))


def _stored_card(card: RateCard) -> RateCard:
    if isinstance(card.price, PriceInEvent):
        card = replace(card, price=Flat(7_000_000_000), meter=None, filters=(), group_by=())
        return replace(card, minimum_minor=None, maximum_minor=None)
    return replace(card, filters=tuple(Filter(each.dimension, (str(PROJECTS[0]),)) for each in card.filters))


async def record(plane: ControlPlane, owner: Person, chance: random.Random) -> list[Event]:
    """Usage around January, as the gateway writes it; what it is to the oracle."""
    stored, told = [], []
    for number in range(40):
        at = NOW + timedelta(microseconds=chance.randrange(-(86_400 * 10**6), 33 * 86_400 * 10**6))
        meter, model, project = chance.choice(METERS), chance.choice(MODELS), chance.choice(PROJECTS)
        value = chance.randrange(1, 60)
        stored.append(
            replace(usage_event(owner.tenant_id, at, "test", **{meter: value}), model=model, project_id=project)
        )
        told.append(Event(at, meter, {"model": model, "project": str(project)}, Decimal(value), Decimal(number)))
    async with plane.system_database.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
        await metering.record(session, stored)
    return sorted(told, key=lambda event: event.at)


async def redeem(plane: ControlPlane, owner: Person, coupons: list[Coupon]) -> None:
    for coupon in coupons:
        async with plane.database.shared() as shared:
            await add_coupon(shared, coupon)
        async with plane.database.write(owner.tenant_id) as session:
            await redeeming.redeem(session, coupon.code, NOW)


@pytest.mark.parametrize("seed", range(12))
async def test_a_stored_month_is_what_the_oracle_says(
    plane: ControlPlane, people: People, seller: LegalEntity, seed: int
) -> None:
    chance = random.Random(f"stored {seed}")
    currency, seats = CURRENCIES[seed % len(CURRENCIES)], chance.randrange(1, 4)
    terms = stored_terms(chance, currency)
    async with plane.database.shared() as shared:
        for product in PRODUCTS:
            await put_product(shared, Product(product, product.title()))
        await pricing.publish_plan_version(shared, "pro", terms, NOW)
    owner = await sandbox_tenant(plane, people, currency=currency)
    await subscribe(plane, owner, "pro", seats=seats)
    events = await record(plane, owner, chance)
    await advance(plane, owner, FEBRUARY - timedelta(days=1))
    coupons = [random_coupon(chance, currency, f"S{seed}-{number}") for number in range(seed % 3)]
    await redeem(plane, owner, coupons)
    january = (await advance(plane, owner, FEBRUARY + timedelta(days=1)))[-1]
    month = Month(
        currency, events, Stretch(terms, seats, NOW, FEBRUARY, NOW, FEBRUARY), None, {},
        Stretch(terms, seats, FEBRUARY, MARCH, FEBRUARY, MARCH), False, coupons,
        dict.fromkeys((*PRODUCTS, ALL_FEES), STANDARD),
    )  # fmt: skip
    expected = bill(month)
    assert Counter(row.told for row in expected.rows) == Counter(
        (line.kind, line.card, line.product, tuple(line.dimensions.items()), line.net_minor) for line in january.lines
    )
    assert january.gross_minor == expected.gross
    if january.number is not None:
        assert document_of(january, None, {}).totals.gross_minor == abs(expected.gross)
    await verified(plane, owner)
