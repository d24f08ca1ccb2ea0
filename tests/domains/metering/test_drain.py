"""From the Redis streams into PostgreSQL: each event once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import redis.asyncio
from sqlalchemy import text

from omni.contracts import redis_names
from omni.contracts.usage import UsageEvent
from omni.domains.metering import service
from omni.domains.metering.service import stream
from omni.domains.metering.service.totals import request_totals
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.kit.ids import uuid7
from omni.testing.usage import usage_event


@pytest.fixture
async def tenant_id(system_database: SystemDatabase) -> UUID:
    async with system_database.session() as session:
        await service.ensure_partitions(session, datetime.now(UTC))
    return uuid4()


@pytest.fixture
async def drain(redis_client: redis.asyncio.Redis, system_database: SystemDatabase) -> service.Drain:
    made = service.Drain(redis_client, system_database.session, "one")
    await made.prepare()
    return made


async def put(client: redis.asyncio.Redis, *events: UsageEvent) -> None:
    for event in events:
        await client.xadd(redis_names.usage_stream(redis_names.partition_of(event.tenant_id)), {"e": event.to_json()})


async def totals(database: Database, tenant_id: UUID) -> dict[str, tuple[int, int]]:
    now = datetime.now(UTC)
    async with database.read(tenant_id) as session:
        found = await request_totals(session, now - timedelta(days=1), now + timedelta(hours=1))
    return {meter: (int(each.quantity), each.events) for meter, each in found.items()}


async def differences(system_database: SystemDatabase, tenant_id: UUID) -> list[object]:
    async with system_database.session() as session:
        return [found for found in await service.verify(session) if found.tenant_id == tenant_id]


async def test_events_arrive_once_however_often_they_are_sent(
    drain: service.Drain,
    redis_client: redis.asyncio.Redis,
    database: Database,
    system_database: SystemDatabase,
    tenant_id: UUID,
) -> None:
    events = [usage_event(tenant_id) for _ in range(300)]
    sent = events + random.Random(7).sample(events, 90)
    random.Random(8).shuffle(sent)
    await put(redis_client, *sent)
    new = duplicate = 0
    while entries := await drain.read(50, 10):
        drained = await drain.store(entries)
        new, duplicate = new + drained.new, duplicate + drained.duplicate
    assert (new, duplicate) == (300, 90)
    assert await totals(database, tenant_id) == {
        "requests": (300, 300), "input_tokens": (2100, 300), "compute_ms": (900, 300),
    }  # fmt: skip
    assert await drain.backlog() == 0
    assert await differences(system_database, tenant_id) == []


async def test_what_a_dead_consumer_read_is_claimed(
    drain: service.Drain,
    redis_client: redis.asyncio.Redis,
    database: Database,
    system_database: SystemDatabase,
    tenant_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put(redis_client, usage_event(tenant_id))
    assert len(await drain.read(10, 10)) == 1  # and then it dies
    monkeypatch.setattr(stream, "CLAIM_AFTER_MS", 0)
    heir = service.Drain(redis_client, system_database.session, "two")
    assert await heir.read(10, 10) == []
    drained = await heir.store(await heir.claim_abandoned(10))
    assert drained.new == 1
    assert (await totals(database, tenant_id))["requests"] == (1, 1)
    assert await heir.backlog() == 0


async def test_a_failed_commit_leaves_the_entries_for_the_next_round(
    drain: service.Drain, redis_client: redis.asyncio.Redis, database: Database, tenant_id: UUID
) -> None:
    event = usage_event(tenant_id)
    await put(redis_client, event)
    entries = await drain.read(10, 10)

    def broken() -> object:
        raise ConnectionError("database is gone")

    lame = service.Drain(redis_client, broken, "one")  # type: ignore[arg-type]
    with pytest.raises(ConnectionError):
        await lame.store(entries)
    assert await drain.backlog() == 1
    await drain.store(entries)
    assert (await totals(database, tenant_id))["requests"] == (1, 1)


async def test_two_drains_at_once_count_once(
    drain: service.Drain,
    redis_client: redis.asyncio.Redis,
    database: Database,
    system_database: SystemDatabase,
    tenant_id: UUID,
) -> None:
    events = [usage_event(tenant_id) for _ in range(200)]
    entries = [("stream", b"0-1", event.to_json()) for event in events]
    other = service.Drain(redis_client, system_database.session, "two")
    await asyncio.gather(drain.store(entries), other.store(list(reversed(entries))))
    assert (await totals(database, tenant_id))["requests"] == (200, 200)


@pytest.mark.parametrize(
    "raw",
    [b"not json", b"{}", b"[]", b'{"event_id": "x"}'],
    ids=["not JSON", "empty", "a list", "an id that is none"],
)
async def test_what_is_no_event_is_kept_and_reported(
    raw: bytes, drain: service.Drain, system_database: SystemDatabase
) -> None:
    async with system_database.session() as session:
        before = await service.verify(session)
    assert (await drain.store([("stream", b"0-1", raw)])).rejected == 1
    async with system_database.session() as session:
        rejected = [found for found in await service.verify(session) if found.what == "rejected usage events"]
        assert rejected[0].left == 1 + sum(found.left for found in before if found.what == "rejected usage events")
        await session.execute(text("select 1"))


@pytest.mark.parametrize("quantity", [-1, 1.5, 2**60, True], ids=["negative", "fraction", "huge", "boolean"])
async def test_quantities_are_integers_from_zero(
    quantity: int, drain: service.Drain, tenant_id: UUID, database: Database
) -> None:
    event = usage_event(tenant_id, requests=quantity)
    assert (await drain.store([("stream", b"0-1", event.to_json())])).rejected == 1
    assert await totals(database, tenant_id) == {}


async def test_events_of_other_months_have_a_partition(
    drain: service.Drain, database: Database, system_database: SystemDatabase, tenant_id: UUID
) -> None:
    last_month = usage_event(tenant_id, datetime.now(UTC) - timedelta(days=31))
    assert (await drain.store([("stream", b"0-1", last_month.to_json())])).new == 1
    assert await differences(system_database, tenant_id) == []


async def test_a_settled_event_takes_the_place_of_an_expired_one_and_never_the_other_way(
    drain: service.Drain, database: Database, system_database: SystemDatabase, tenant_id: UUID
) -> None:
    settled = usage_event(tenant_id, requests=1, input_tokens=500)
    expired = replace(settled, status=0, model="", duration_micros=0, quantities={"requests": 1})
    refused = replace(settled, event_id=uuid7(), status=502, quantities={})
    refused_expired = replace(expired, event_id=refused.event_id)
    for event in (expired, refused_expired):
        assert (await drain.store([("stream", b"0-1", event.to_json())])).new == 1
    assert await totals(database, tenant_id) == {"requests": (2, 2)}
    for event in (settled, expired, refused, settled):
        assert (await drain.store([("stream", b"0-1", event.to_json())])).new == 0
    found = await totals(database, tenant_id)
    assert {meter: total for meter, total in found.items() if total != (0, 0)} == {
        "requests": (1, 1),
        "input_tokens": (500, 1),
    }
    assert await differences(system_database, tenant_id) == []


async def test_a_settled_event_goes_before_an_expired_one_of_the_same_batch(
    drain: service.Drain, database: Database, tenant_id: UUID
) -> None:
    settled = usage_event(tenant_id, requests=1, input_tokens=500)
    expired = replace(settled, status=0, model="", duration_micros=0, quantities={"requests": 1})
    batch = [("stream", b"0-%d" % number, event.to_json()) for number, event in enumerate((expired, settled, expired))]
    drained = await drain.store(batch)
    assert (drained.new, drained.duplicate) == (1, 2)
    assert await totals(database, tenant_id) == {"requests": (1, 1), "input_tokens": (500, 1)}


async def test_groups_come_back_after_a_flush(
    drain: service.Drain, redis_client: redis.asyncio.Redis, tenant_id: UUID
) -> None:
    await redis_client.flushall()
    assert await drain.claim_abandoned(10) == []
    await redis_client.flushall()
    assert await drain.read(10, 10) == []
    await put(redis_client, usage_event(tenant_id))
    assert len(await drain.read(10, 10)) == 1


async def test_verify_finds_a_rollup_that_was_changed(
    drain: service.Drain, system_database: SystemDatabase, tenant_id: UUID
) -> None:
    await drain.store([("stream", b"0-1", usage_event(tenant_id).to_json())])
    assert await differences(system_database, tenant_id) == []
    planted = text("update usage_rollups set quantity = quantity + 1 where tenant_id = :t and meter = 'requests'")
    async with system_database.session() as session:
        await session.execute(planted, {"t": tenant_id})
    found = await differences(system_database, tenant_id)
    assert len(found) == 1
    async with system_database.session() as session:
        await session.execute(
            text("update usage_rollups set quantity = 1 where tenant_id = :t and meter = 'requests'"), {"t": tenant_id}
        )
