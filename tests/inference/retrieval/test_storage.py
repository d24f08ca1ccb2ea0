"""Vectors that are stored become usage, hour by hour, whatever was missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from omni.apps.worker.services import METER_VECTORS, SCHEDULES
from omni.apps.worker.vector_storage import vector_storage_task
from omni.contracts.usage import METERS, VECTOR_BYTE_HOURS
from omni.domains.metering import facade as metering
from omni.domains.metering.tables import usage_events, usage_rollups
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.tasks.task import Delivery
from omni.inference.retrieval import storage
from omni.inference.retrieval.tables import document_chunks, vector_changes
from omni.kit.clock import SystemClock
from omni.kit.ids import uuid7, uuid7_time
from tests.inference.backend import Backend
from tests.inference.retrieval.conftest import new_collection

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
BYTES = 768


async def log(database: Database, tenant_id: UUID, changes: list[tuple[float, int]]) -> None:
    """Changes of the number of vectors, at minutes after midnight."""
    rows = [
        {"tenant_id": tenant_id, "changed_at": MIDNIGHT + timedelta(minutes=minute), "vectors": vectors}
        for minute, vectors in changes
    ]
    async with database.write(tenant_id) as session:
        await session.execute(insert(vector_changes), rows)


async def settle(system: SystemDatabase, tenant_id: UUID, until: datetime) -> dict[int, int]:
    """Records what is due; hour after midnight → byte-hours of what was new."""
    async with system.session() as session:
        new = await metering.record(session, await storage.settle(session, tenant_id, until))
    return {
        int((each.occurred_at_micros / 1e6 - MIDNIGHT.timestamp()) / 3600): each.quantities[VECTOR_BYTE_HOURS]
        for each in new
    }


async def total(database: Database, tenant_id: UUID) -> int:
    async with database.read(tenant_id) as session:
        found = await session.scalar(
            select(func.coalesce(func.sum(usage_rollups.c.quantity), 0)).where(
                usage_rollups.c.tenant_id == tenant_id, usage_rollups.c.meter == VECTOR_BYTE_HOURS
            )
        )
    return int(found)


async def test_an_hour_is_the_integral_over_it(database: Database, system_database: SystemDatabase) -> None:
    """1,000 vectors from 0:30, 2,000 from 1:15, none from 2:45: by hand."""
    tenant_id = uuid7()
    await log(database, tenant_id, [(30, 1_000), (75, 1_000), (165, -2_000)])
    found = await settle(system_database, tenant_id, MIDNIGHT + timedelta(hours=5))
    assert found == {0: 500 * BYTES, 1: 1_750 * BYTES, 2: 1_500 * BYTES}
    assert await total(database, tenant_id) == 3_750 * BYTES
    async with database.read(tenant_id) as session:
        assert await session.all(vector_changes.select()) == []
        events = await session.all(usage_events.select())
    assert {event["endpoint"] for event in events} == {"storage"}
    for event in events:
        assert uuid7_time(event["event_id"]) == event["occurred_at"]
        assert event["event_id"].version == 7


async def test_settling_again_changes_nothing(database: Database, system_database: SystemDatabase) -> None:
    tenant_id = uuid7()
    await log(database, tenant_id, [(0, 100)])
    until = MIDNIGHT + timedelta(hours=2)
    assert await settle(system_database, tenant_id, until) == {0: 100 * BYTES, 1: 100 * BYTES}
    assert await settle(system_database, tenant_id, until) == {}
    assert await settle(system_database, tenant_id, until + timedelta(hours=1)) == {2: 100 * BYTES}


async def test_a_run_that_fails_is_made_up_for(database: Database, system_database: SystemDatabase) -> None:
    tenant_id = uuid7()
    await log(database, tenant_id, [(0, 100), (90, -40)])
    until = MIDNIGHT + timedelta(hours=2)

    async def settle_and_fail() -> None:
        async with system_database.session() as session:
            await metering.record(session, await storage.settle(session, tenant_id, until))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await settle_and_fail()
    assert await total(database, tenant_id) == 0
    assert await settle(system_database, tenant_id, until) == {0: 100 * BYTES, 1: 80 * BYTES}


async def test_a_change_that_is_seen_late_is_not_charged_twice(
    database: Database, system_database: SystemDatabase
) -> None:
    """It counts from the first hour that is not settled; settled hours stay as they are."""
    tenant_id = uuid7()
    await log(database, tenant_id, [(0, 100)])
    await settle(system_database, tenant_id, MIDNIGHT + timedelta(hours=2))
    await log(database, tenant_id, [(119, 50)])
    assert await settle(system_database, tenant_id, MIDNIGHT + timedelta(hours=3)) == {2: 150 * BYTES}
    assert await total(database, tenant_id) == 350 * BYTES


@given(
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 50)), min_size=1, max_size=6),
    st.lists(st.integers(1, 12), max_size=4),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_when_it_is_settled_makes_no_difference(
    database: Database, system_database: SystemDatabase, changes: list[tuple[int, int]], runs: list[int]
) -> None:
    """Whole tens of minutes, so that no hour is rounded: the sum is the integral over all twelve hours."""
    tenant_id, left = uuid7(), sorted(changes)
    for hour in [*sorted(runs), 12]:
        due = [change for change in left if change[0] * 10 < hour * 60]
        left = [change for change in left if change not in due]
        if due:
            await log(database, tenant_id, [(tens * 10, vectors * 6) for tens, vectors in due])
        await settle(system_database, tenant_id, MIDNIGHT + timedelta(hours=hour))
    expected = sum(vectors * (72 - tens) for tens, vectors in changes) * BYTES
    assert await total(database, tenant_id) == expected


async def test_what_happens_to_documents_is_logged(tenant: Backend, database: Database) -> None:
    path = await new_collection(tenant)

    async def logged() -> list[int]:
        async with database.read(tenant.tenant_id) as session:
            changes = vector_changes.c
            rows = await session.execute(select(changes.vectors).order_by(changes.changed_at))
            return list(rows.scalars())

    document = (await tenant.post(f"{path}/documents", {"name": "a", "text": "One sentence."})).json()
    await tenant.post(f"{path}/documents", {"name": "b", "text": "word " * 400})
    await tenant.post(f"{path}/documents", {"name": "b", "text": "word " * 400})
    await tenant.send("PATCH", path, json={"name": "other"})
    first, second = await logged()
    assert (first, second > 1) == (1, True)
    await tenant.post(f"{path}/documents", {"name": "b", "text": "short"})
    await tenant.send("DELETE", f"{path}/documents/{document['id']}")
    await tenant.send("DELETE", path)
    assert await logged() == [1, second, 1 - second, -1, -1]
    async with database.read(tenant.tenant_id) as session:
        assert await session.scalar(select(func.count()).select_from(document_chunks)) == 0


async def test_the_worker_meters_every_tenant(database: Database, system_database: SystemDatabase) -> None:
    tenants = [uuid7() for _ in range(3)]
    ends = storage.metered_until(SystemClock().now())
    for number, tenant_id in enumerate(tenants, 1):
        await log(database, tenant_id, [((ends - MIDNIGHT) / timedelta(minutes=1) - 60, number)])
    task = vector_storage_task(METER_VECTORS, system_database, SystemClock())
    for _ in range(2):
        await task.body(Delivery(uuid7(), {}))
    assert [await total(database, tenant_id) for tenant_id in tenants] == [BYTES, 2 * BYTES, 3 * BYTES]
    assert METER_VECTORS in {schedule.task for schedule in SCHEDULES}
    assert VECTOR_BYTE_HOURS in METERS


async def test_storage_is_no_request(database: Database, system_database: SystemDatabase) -> None:
    """Neither for service levels, nor for who is active."""
    tenant_id = uuid7()
    await log(database, tenant_id, [(0, 100)])
    await settle(system_database, tenant_id, MIDNIGHT + timedelta(hours=2))
    async with database.read(tenant_id) as session:
        assert await metering.answers_by_slot(session, MIDNIGHT, MIDNIGHT + timedelta(days=1)) == {}
    async with system_database.session() as session:
        before = await metering.active_tenants(session, MIDNIGHT + timedelta(hours=3))
    other = uuid7()
    await log(database, other, [(0, 100)])
    await settle(system_database, other, MIDNIGHT + timedelta(hours=2))
    async with system_database.session() as session:
        assert await metering.active_tenants(session, MIDNIGHT + timedelta(hours=3)) == before
        assert [each for each in await metering.verify(session) if each.tenant_id in (tenant_id, other)] == []


def test_an_hour_is_over_five_minutes_after_its_end() -> None:
    at = MIDNIGHT + timedelta(hours=3)
    assert storage.metered_until(at + timedelta(minutes=4, seconds=59)) == at - timedelta(hours=1)
    assert storage.metered_until(at + timedelta(minutes=5)) == at
