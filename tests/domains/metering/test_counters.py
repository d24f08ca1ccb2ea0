"""Holds whose gateway died, and counters after a flush."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis.asyncio

from omni.contracts import redis_names
from omni.contracts.usage import UsageEvent
from omni.domains.metering import service
from omni.foundation.db.system_session import SystemDatabase
from omni.testing.usage import usage_event


@pytest.fixture
def tenant_id() -> UUID:
    return uuid4()


async def hold(client: redis.asyncio.Redis, event: UsageEvent, lease_end_ms: int) -> None:
    number = redis_names.partition_of(event.tenant_id)
    await client.zadd(redis_names.holds_index(number), {event.event_id.hex: lease_end_ms})
    await client.hset(redis_names.holds_data(number), event.event_id.hex, event.to_json())


async def test_an_expired_hold_is_settled_once_and_a_live_one_stays(
    redis_client: redis.asyncio.Redis, tenant_id: UUID
) -> None:
    number = redis_names.partition_of(tenant_id)
    expired, alive = usage_event(tenant_id), usage_event(tenant_id)
    await hold(redis_client, expired, 1)
    await hold(redis_client, alive, 2**45)
    counters = service.Counters(redis_client)
    assert [await counters.reap(), await counters.reap()] == [1, 0]
    entries: Any = await redis_client.xrange(redis_names.usage_stream(number))
    assert [UsageEvent.from_json(fields[b"e"]) for _, fields in entries] == [expired]
    assert await redis_client.hkeys(redis_names.holds_data(number)) == [alive.event_id.hex.encode()]
    assert await redis_client.zcard(redis_names.holds_index(number)) == 1


async def test_a_counter_that_fell_behind_is_raised_and_one_ahead_stays(
    redis_client: redis.asyncio.Redis, system_database: SystemDatabase, tenant_id: UUID
) -> None:
    now = datetime.now(UTC)
    requests, compute = (
        redis_names.quota_key(tenant_id, "live", f"{now:%Y%m}", meter) for meter in ("requests", "compute_ms")
    )
    await redis_client.set(requests, 2)
    await redis_client.set(compute, 999)
    async with system_database.session() as session:
        await service.ensure_partitions(session, now)
        await service.record(session, [usage_event(tenant_id, now, requests=1, compute_ms=40) for _ in range(5)])
        await service.Counters(redis_client).raise_to_truth(session, now)
    assert await redis_client.mget(requests, compute) == [b"5", b"999"]
    assert await redis_client.ttl(requests) > 30 * 86_400


async def test_counters_are_rebuilt_from_the_database(
    redis_client: redis.asyncio.Redis, system_database: SystemDatabase, tenant_id: UUID
) -> None:
    now = datetime.now(UTC)
    async with system_database.session() as session:
        await service.ensure_partitions(session, now)
        await service.record(session, [usage_event(tenant_id, now, requests=1, compute_ms=40) for _ in range(5)])
        await service.record(session, [usage_event(tenant_id, now, "test", requests=1)])
    counters = service.Counters(redis_client)
    missing = await counters.partitions_not_ready()
    assert missing == list(range(redis_names.PARTITIONS))
    async with system_database.session() as session:
        await counters.rebuild(session, missing, now)
    month = f"{now:%Y%m}"
    values = [
        await redis_client.get(redis_names.quota_key(tenant_id, mode, month, meter))
        for mode, meter in (("live", "requests"), ("live", "compute_ms"), ("test", "requests"))
    ]
    assert values == [b"5", b"200", b"1"]
    assert await counters.partitions_not_ready() == []
