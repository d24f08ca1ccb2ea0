"""Sellers, plans and sandbox tenants that tests of billing work with."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from omni.contracts.usage import INPUT_TOKENS, REQUESTS
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import BillingProfile, Invoice, LegalEntity
from omni.domains.billing.service import profiles, sandbox, subscribing
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account
from omni.domains.metering import facade as metering
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import (
    Flat,
    Graduated,
    PerUnit,
    PlanTerms,
    Product,
    RateCard,
    Seat,
    Tier,
    UnitPrice,
)
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.people import People, Person

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENTITY = LegalEntity(
    "acme-si", "Omni prodaja d.o.o.", "Slovenska cesta 1", "1000", "Ljubljana", "SI", "OM", vat_id="SI12345679",
    registration="1234567000", iban="SI56192001234567892", is_default=True,
)  # fmt: skip
PRODUCTS = (Product("api", "API"), Product("support", "Support"))
FEE = RateCard("base", "support", "Base fee", "EUR", Flat(30_000_000_000))
SEATS = RateCard("seats", "support", "Seats", "EUR", Seat(10_000_000_000))
SETUP = RateCard("setup", "support", "Set-up", "EUR", Flat(50_000_000_000, recurring=False))
CALLS = RateCard("calls", "api", "Requests", "EUR", PerUnit(UnitPrice(10_000_000)), meter=REQUESTS)
TOKENS = RateCard(
    "tokens", "api", "Input tokens", "EUR",
    Graduated((Tier(Decimal(1000), UnitPrice(1_000_000)), Tier(None, UnitPrice(500_000)))), meter=INPUT_TOKENS,
)  # fmt: skip


async def publish(plane: ControlPlane, plan: str, *cards: RateCard, **terms: Any) -> int:
    async with plane.database.shared() as session:
        made = await pricing.publish_plan_version(session, plan, PlanTerms("EUR", cards, **terms), NOW)
    return made.version


async def sandbox_tenant(plane: ControlPlane, people: People, at: datetime = NOW, **profile: Any) -> Person:
    """A tenant with a clock that stands at an instant."""
    owner = await people.owner()
    async with plane.database.write(owner.tenant_id) as session:
        wanted = BillingProfile(ENTITY.code, "Kupec s.p.", "Cesta 2", "2000", "Maribor", "SI", **profile)
        await profiles.save_profile(session, wanted)
        await profiles.start_clock(session, at)
    return owner


async def use(plane: ControlPlane, tenant_id: UUID, moment: datetime, **quantities: int) -> None:
    async with plane.system_database.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
        await metering.record(session, [usage_event(tenant_id, moment, "test", **quantities)])


async def subscribe(plane: ControlPlane, owner: Person, plan: str, **more: Any) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        now = (await profiles.profile_of(session)).test_clock
        assert now is not None
        await subscribing.start(session, plan, now, **more)


async def advance(plane: ControlPlane, owner: Person, to: datetime) -> list[Invoice]:
    async with plane.database.write(owner.tenant_id) as session:
        return await sandbox.advance(session, to)


async def verified(plane: ControlPlane, owner: Person) -> None:
    async with plane.database.read(owner.tenant_id) as session:
        assert await billing.verify_tenant(session) == []


async def balances(plane: ControlPlane, owner: Person) -> dict[Account, int]:
    async with plane.database.read(owner.tenant_id) as session:
        return {each.account: each.amount_nanos for each in await ledger.balances(session) if each.amount_nanos}


def lines(invoice: Invoice) -> list[tuple[str, str, int]]:
    return [(line.kind, line.card, line.net_minor) for line in invoice.lines]
