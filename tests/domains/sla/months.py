"""Tenants in real time whose October is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from omni.contracts.usage import REQUESTS, UsageEvent
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import BillingProfile
from omni.domains.billing.service import profiles, subscribing
from omni.domains.metering import facade as metering
from omni.domains.sla import repository
from omni.domains.sla.contracts import Month, Observed, Stretch, Tier
from omni.domains.sla.facade import MonthlyRun
from omni.domains.sla.service import closing, measuring, terms
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.billing.sales import CALLS, ENTITY, FEE, publish
from tests.domains.people import People, Person

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DUE = NOVEMBER + timedelta(days=3)
MONTH = date(2026, 10, 1)
SLOT = timedelta(minutes=15)
TIERS = (Tier(99_900, 10), Tier(99_000, 25), Tier(95_000, 100))


def events(owner: Person, moment: datetime, status: int, count: int = 1) -> list[UsageEvent]:
    """As the gateway writes them: what failed has no quantities."""
    quantities = {REQUESTS: 1} if status < 500 else {}
    one = usage_event(owner.tenant_id, moment)
    made = (usage_event(owner.tenant_id, moment + timedelta(microseconds=each)) for each in range(count))
    return [replace(each, status=status, quantities=quantities, project_id=one.project_id) for each in made]


async def record(plane: ControlPlane, found: Sequence[UsageEvent]) -> None:
    async with plane.system_database.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
        await metering.record(session, found)


async def promise(plane: ControlPlane, plan_code: str, tiers: Sequence[Tier] = TIERS) -> int:
    async with plane.database.shared() as session:
        return (await terms.publish_table(session, plan_code, tiers, plane.clock.now())).version


async def customer(plane: ControlPlane, people: People, plan: str | None = "pro", **profile: Any) -> Person:
    """On a plan with a fee of 30 EUR in advance and 0.01 EUR a request, since the month began."""
    owner = await people.owner()
    async with plane.database.write(owner.tenant_id) as session:
        wanted = BillingProfile(ENTITY.code, "Kupec s.p.", "Cesta 2", "2000", "Maribor", "SI", **profile)
        await profiles.save_profile(session, wanted)
    if plan is not None:
        await publish(plane, plan, FEE, CALLS)
        await promise(plane, plan)
        async with plane.database.write(owner.tenant_id) as session:
            await subscribing.start(session, plan, plane.clock.now())
    return owner


async def bill(plane: ControlPlane, owner: Person) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        await billing.bill_tenant(session, plane.clock.now())


async def log_in_again(people: People, *persons: Person) -> None:
    """Their sessions have ended meanwhile."""
    for person in persons:
        person.token = (await people.log_in(person.email)).json()["session_token"]


def go_to(plane: ControlPlane, moment: datetime) -> None:
    plane.clock.advance(moment - plane.clock.now())


def api_down(start: datetime, length: timedelta) -> Observed:
    return Observed((Stretch("api", start, start + length),), unwatched_micros={"api": 0, "inference": 0})


async def close(plane: ControlPlane, owner: Person, month: date = MONTH) -> Month:
    now = plane.clock.now()
    async with plane.database.read(owner.tenant_id) as reading:
        period = await measuring.period_of(reading, month, now)
    observed = await plane.status_page.observed(period.start, period.end)
    async with plane.database.write(owner.tenant_id) as session:
        return await closing.close(session, period, observed, now)


async def run(plane: ControlPlane) -> int:
    return await MonthlyRun(plane.database, plane.system_database.session, plane.status_page, plane.clock.now()).run()


async def stored(plane: ControlPlane, owner: Person, month: date = MONTH) -> Month | None:
    async with plane.database.read(owner.tenant_id) as session:
        return await repository.find(session, month)
