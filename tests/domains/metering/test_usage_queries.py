"""How the database goes about usage queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from omni.domains.metering import facade as metering
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People

USES_OF_A_KEPT_PLAN = 6
"""PostgreSQL plans five times for the parameters at hand before it may keep one plan for all."""
_PLANS = text("""
    select coalesce(sum(generic_plans), 0) as kept, coalesce(sum(custom_plans), 0) as own
    from pg_prepared_statements where statement like '%usage_events%' and statement not like '%pg_prepared_statements%'
""")


@pytest.mark.parametrize("meter", ["input_tokens", None])
async def test_no_plan_is_kept_for_another_period(plane: ControlPlane, people: People, meter: str | None) -> None:
    """A plan for any period reads all events of the month where those of a few minutes are asked for."""
    owner = await people.owner()
    until = datetime(2026, 3, 20, 10, 7, tzinfo=UTC)
    async with plane.database.shared() as session:
        await metering.seed_meters(session)
    async with plane.database.read(owner.tenant_id) as session:
        before = (await session.all(_PLANS))[0]
        for number in range(USES_OF_A_KEPT_PLAN):
            query = metering.UsageQuery(until - timedelta(days=1, minutes=number), until, "day", "UTC", meter)
            await metering.usage_series(session, query, until)
        plans = (await session.all(_PLANS))[0]
    assert plans["own"] - before["own"] >= USES_OF_A_KEPT_PLAN
    assert plans["kept"] == before["kept"]
