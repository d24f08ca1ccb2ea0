"""How the database goes about usage queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from omni.domains.metering import facade as metering
from omni.foundation.db.sessions import ReadSession
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People

USES_OF_A_KEPT_PLAN = 6
"""PostgreSQL plans five times for the parameters at hand before it may keep one plan for all."""
_PLANS = text("""
    select name, generic_plans as kept, custom_plans as own from pg_prepared_statements
    where statement like '%usage_events%' and statement not like '%pg_prepared_statements%'
""")


async def plans_of(session: ReadSession) -> dict[str, tuple[int, int]]:
    """How often each statement of the connection was run with a plan that is kept, and with one of its own."""
    return {row["name"]: (row["kept"], row["own"]) for row in await session.all(_PLANS)}


@pytest.mark.parametrize("meter", ["input_tokens", None])
async def test_no_plan_is_kept_for_another_period(plane: ControlPlane, people: People, meter: str | None) -> None:
    """A plan for any period reads all events of the month where those of a few minutes are asked for."""
    owner = await people.owner()
    until = datetime(2026, 3, 20, 10, 7, tzinfo=UTC)
    async with plane.database.shared() as session:
        await metering.seed_meters(session)
    async with plane.database.read(owner.tenant_id) as session:
        before = await plans_of(session)
        for number in range(USES_OF_A_KEPT_PLAN):
            query = metering.UsageQuery(until - timedelta(days=1, minutes=number), until, "day", "UTC", meter)
            await metering.usage_series(session, query, until)
        after = await plans_of(session)
    # A statement that the connection has forgotten meanwhile takes nothing away.
    grown = [
        (kept - before.get(name, (0, 0))[0], own - before.get(name, (0, 0))[1]) for name, (kept, own) in after.items()
    ]
    assert sum(own for _, own in grown) >= USES_OF_A_KEPT_PLAN
    assert sum(kept for kept, _ in grown) == 0
