"""How requests ended by the quarter of an hour: rollups and raw events together, against a count of each event."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from omni.contracts.usage import CACHED_REQUESTS, COST_NANOS, INPUT_TOKENS, REQUESTS, SPEND_NANOS, UsageEvent
from omni.domains.metering import facade as metering
from omni.domains.metering.repository import answers as repository
from omni.domains.metering.rules.stream import SLOT_MICROS, instant
from omni.foundation.db.roles import DatabaseAddress
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.testing.usage import usage_event

START = datetime(2026, 10, 1, tzinfo=UTC)
KINDS: tuple[tuple[int, dict[str, int]], ...] = (
    (200, {REQUESTS: 1, INPUT_TOKENS: 5}),
    (200, {CACHED_REQUESTS: 1}),
    (200, {}),  # a route that is not metered
    (400, {REQUESTS: 1}),
    (429, {}),
    (499, {REQUESTS: 1}),
    (0, {REQUESTS: 1}),  # its gateway died
    (500, {}),
    (502, {COST_NANOS: 9}),  # the provider charges for it all the same
    (503, {SPEND_NANOS: 0}),
    (504, {}),
    (529, {}),
)


async def test_every_event_is_counted_once(database: Database, system_database: SystemDatabase) -> None:
    rng, tenant_id, other = random.Random(27), uuid4(), uuid4()
    events: list[UsageEvent] = []
    for _ in range(2_000):
        status, quantities = rng.choice(KINDS)
        moment = START + timedelta(microseconds=rng.randrange(-SLOT_MICROS, 5 * SLOT_MICROS))
        owner = tenant_id if rng.random() < 0.9 else other
        mode = "live" if rng.random() < 0.9 else "test"
        made = usage_event(owner, moment, "test" if mode == "test" else "live")
        events.append(replace(made, status=status, quantities=quantities))
    async with system_database.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
        await metering.record(session, events)
    until = START + timedelta(hours=1)
    wanted: dict[datetime, tuple[int, int]] = {}
    for event in events:
        slot = instant(event.occurred_at_micros // SLOT_MICROS * SLOT_MICROS)
        if event.tenant_id == tenant_id and event.mode == "live" and START <= slot < until:
            valid, failed = wanted.get(slot, (0, 0))
            wanted[slot] = valid + 1, failed + (event.status >= 500 or event.status == 0)
    async with database.read(tenant_id) as reading:
        assert await metering.answers_by_slot(reading, START, until) == wanted
    assert len(wanted) == 4


@pytest.mark.parametrize("fault", [False, True])
async def test_what_is_in_no_rollup_has_an_index(database_address: DatabaseAddress, fault: bool) -> None:
    """Without the index of all events, the other one serves; unless its condition is not that of the statement."""
    statement = f"explain {repository._BY_SLOT.text}"
    if fault:
        statement = statement.replace("{requests,cached_requests}", "{requests}")
    parameters = {"tenant_id": uuid4(), "mode": "live", "start": START, "end": START + timedelta(days=31)}
    engine = create_async_engine(database_address.url(), poolclass=NullPool)
    async with engine.connect() as admin:
        await admin.execute(text("set local enable_seqscan = off"))
        await admin.execute(text("drop index ix_usage_events_tenant_id_occurred_at"))  # rolled back
        plan = "\n".join((await admin.execute(text(statement), parameters)).scalars().all())
        await admin.rollback()
    await engine.dispose()
    assert ("_tenant_id_occurred_at_idx" in plan) is not fault, plan
