"""Usage events: from Redis into PostgreSQL, through `/v1/events`, visible in usage, and queries over 10 million."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import redis.asyncio

from bench import reporting, usage_queries
from bench.services import running
from omni.apps.embedded.launch import free_port
from omni.apps.embedded.postgres import EmbeddedPostgres
from omni.apps.embedded.redis import EmbeddedRedis
from omni.apps.schema import whole_schema
from omni.apps.serving import collect_garbage_rarely
from omni.apps.system import open_system_database
from omni.apps.worker.pump import DRAIN_BATCH, DRAIN_LANES
from omni.contracts import redis_names
from omni.contracts.usage import COMPUTE_MS, INPUT_TOKENS, REQUESTS, UsageEvent
from omni.domains.metering import facade as metering
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.engine import PoolSettings
from omni.foundation.db.migrate import migrate
from omni.foundation.db.roles import DatabaseAddress
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7

EVENTS, TENANTS = 200_000, 500
FILL_BATCH = 2_000
DRAIN_BAR = 30_000


def run() -> list[dict[str, Any]]:
    collect_garbage_rarely()
    drained, queries = [], []
    for tenth in (10, 1):
        with _services() as (address, redis_url):
            events = EVENTS // tenth
            per_second = asyncio.run(_measure(address, redis_url, events))
            bar = DRAIN_BAR if tenth == 1 else None
            drained.append(
                {
                    "name": f"usage drain, Redis stream to PostgreSQL, {events:,} events",
                    "value": round(per_second),
                    "unit": "events/s",
                    "bar": bar,
                    "met": bar is None or per_second >= bar,
                    "plot": "drain",
                    "events": events,
                }
            )
            queries += asyncio.run(
                usage_queries.measure(address, usage_queries.EVENTS_EACH // tenth, judged=tenth == 1)
            )
    return [*drained, *reporting.run(), *queries]


@contextmanager
def _services() -> Iterator[tuple[DatabaseAddress, str]]:
    """PostgreSQL and Redis of their own."""
    key = MasterKey(os.urandom(32))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = EmbeddedPostgres(folder / "postgres", free_port(), key)
        redis_server = EmbeddedRedis(folder / "redis", free_port(), key)
        with running(postgres, folder) as database_url, running(redis_server, folder) as redis_url:
            yield DatabaseAddress(database_url, key), redis_url


async def _measure(address: DatabaseAddress, redis_url: str, events: int) -> float:
    """Events a second."""
    await migrate(address, whole_schema())
    system = open_system_database(address, "bench", PoolSettings(size=DRAIN_LANES))
    client = redis.asyncio.Redis.from_url(redis_url)
    async with system.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
    lanes = [metering.Drain(client, system.session, f"bench-{lane}") for lane in range(DRAIN_LANES)]
    await lanes[0].prepare()
    await _fill(client, events)

    async def drain(lane: metering.Drain) -> int:
        new = 0
        while entries := await lane.read(DRAIN_BATCH, 1):
            new += (await lane.store(entries)).new
        return new

    started = time.perf_counter()
    new = sum(await asyncio.gather(*(drain(lane) for lane in lanes)))
    seconds = time.perf_counter() - started
    if new != events or await lanes[0].backlog():
        raise RuntimeError(f"{new} of {events} events arrived")
    await client.aclose()
    await system.close()
    return new / seconds


async def _fill(client: redis.asyncio.Redis, events: int) -> None:
    tenants = [(uuid4(), uuid4(), uuid4()) for _ in range(TENANTS)]
    for start in range(0, events, FILL_BATCH):
        async with client.pipeline(transaction=False) as pipeline:
            for number in range(start, start + FILL_BATCH):
                event = _event(*tenants[number % TENANTS])
                stream = redis_names.usage_stream(redis_names.partition_of(event.tenant_id))
                pipeline.xadd(stream, {"e": event.to_json()})
            await pipeline.execute()


def _event(tenant_id: UUID, project_id: UUID, key_id: UUID) -> UsageEvent:
    return UsageEvent(
        uuid7(), tenant_id, project_id, key_id, "live", unix_micros(), "POST /v1/embeddings", "all-MiniLM-L6-v2",
        200, 4_200, {REQUESTS: 1, INPUT_TOKENS: 12, COMPUTE_MS: 3},
    )  # fmt: skip
