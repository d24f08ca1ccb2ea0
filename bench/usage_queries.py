"""Usage queries of a tenant with 10 million events this month: half of them requests, half reported."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from omni.apps.system import open_system_database
from omni.domains.metering import facade as metering
from omni.domains.metering.contracts import Aggregation, Meter, Window
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.kit.clock import month_start

EVENTS_EACH = 5_000_000
QUERIES, WARM_UP = 200, 20
QUERY_BAR, OVERVIEW_BAR, HOURS_BAR = 0.050, 0.250, 0.250
WEEK = timedelta(days=7)
TYPE = "bench.query"
AGGREGATIONS: tuple[Aggregation, ...] = ("count", "sum", "max", "latest", "unique", "average", "weighted_sum")
WINDOWS: tuple[Window, ...] = ("hour", "day", "month")
ZONES = ("UTC", "Europe/Ljubljana", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns")

_REQUESTS = text("""
    insert into usage_events (tenant_id, event_id, project_id, key_id, mode, occurred_at, endpoint, model, status,
                              duration_micros, quantities)
    select :tenant_id,
           (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
            || '8' || lpad(to_hex(n), 15, '0'))::uuid,
           lpad((n % 2)::text, 32, '0')::uuid, lpad((n % 4)::text, 32, '0')::uuid, 'live', at, 'POST /v1/embeddings',
           'model-' || n % 3, case when n % 50 = 0 then 400 else 200 end, 1000,
           jsonb_build_object('requests', 1, 'input_tokens', n % 1000)
    from (select n, cast(:start as timestamptz) + n * cast(:step as interval) as at
          from generate_series(0, :count - 1) n) as made
""")
_REPORTED = text("""
    insert into ingested_events (tenant_id, occurred_at, digest, mode, type, source, id, subject, project_id, data,
                                 counted, received_at)
    select :tenant_id, cast(:start as timestamptz) + n * cast(:step as interval), md5(n::text)::uuid, 'live', :type,
           '/bench', n::text, '', :tenant_id,
           jsonb_build_object('amount', (n % 1000) / 8.0, 'region', 'r' || n % 5, 'user', 'u' || n / 5 % 500),
           true, now()
    from generate_series(0, :count - 1) n
""")
_ROLL_UP = text("""
    insert into usage_rollups
    select e.tenant_id, q.key, e.mode, date_bin('15 minutes', e.occurred_at, timestamptz 'epoch'), e.project_id,
           e.key_id, e.endpoint, e.model, e.status, sum(q.value::bigint)::bigint, count(*)
    from usage_events e cross join lateral jsonb_each_text(e.quantities) q
    where e.tenant_id = :tenant_id
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9
""")


async def measure(address: DatabaseAddress, each: int, *, judged: bool) -> list[dict[str, Any]]:
    """`address` is that of a migrated database; `each` events of either kind are put into it."""
    now, tenant_id = datetime.now(UTC), uuid4()
    meters = await _fill(address, tenant_id, now, each)
    database = Database(create_engine(address.url(Role.APP), "bench", PoolSettings(size=1)))
    chance = random.Random(7)
    results = []
    for name, plot, bar, query in (
        ("usage query by meter", "query", QUERY_BAR, lambda: _by_meter(chance, meters, now)),
        ("usage of every meter at once", "overview", OVERVIEW_BAR, lambda: _overview(chance, now)),
        ("usage by the hours of a month and group", "hours", HOURS_BAR, lambda: _hours_of_month(chance, meters, now)),
    ):
        p95 = await _p95(database, tenant_id, query, now)
        results.append(
            {
                "name": f"{name}, tenant with {2 * each:,} events this month, p95",
                "value": round(p95, 4),
                "unit": "s",
                "bar": bar if judged else None,
                "met": p95 <= bar or not judged,
                "plot": plot,
                "events": 2 * each,
            }
        )
    await database.close()
    return results


async def _p95(database: Database, tenant_id: UUID, query: Callable[[], metering.UsageQuery], now: datetime) -> float:
    waits = []
    for number in range(QUERIES + WARM_UP):
        asked = query()
        started = time.perf_counter()
        async with database.read(tenant_id) as session:
            points = await metering.usage_series(session, asked, now)
        if not points:
            raise RuntimeError(f"nothing was found by {asked}")
        if number >= WARM_UP:
            waits.append(time.perf_counter() - started)
    return sorted(waits)[int(QUERIES * 0.95) - 1]


async def _fill(address: DatabaseAddress, tenant_id: UUID, now: datetime, each: int) -> list[Meter]:
    meters = [
        Meter(
            f"bench_{aggregation}", aggregation, "unit", "", aggregation, TYPE,
            value_property=None if aggregation in ("count", "unique") else "amount",
            unique_property="user" if aggregation == "unique" else None,
            dimensions=("region",), scope="operator", rolled_up=False,
        )
        for aggregation in AGGREGATIONS
    ]  # fmt: skip
    system = open_system_database(address, "bench", PoolSettings(size=1, statement_timeout_seconds=1800))
    async with system.session() as session:
        await metering.ensure_partitions(session, now)
        await metering.seed_meters(session)
    start = month_start(now)
    parameters = {
        "tenant_id": tenant_id, "start": start, "step": (now - start) / each, "count": each,
    }  # fmt: skip
    engine = create_async_engine(address.url())
    async with engine.connect() as connection:
        await connection.execute(_REQUESTS, parameters)
        await connection.execute(_REPORTED, parameters | {"type": TYPE})
        await connection.execute(_ROLL_UP, {"tenant_id": tenant_id})
        await connection.commit()
    async with system.session() as session:
        for meter in meters:
            await metering.add_meter(session, meter)  # type: ignore[arg-type]  # the worker's session may as well
    for meter in meters:
        await metering.count_meter(system.session, meter.code)
    await system.close()
    async with engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await autocommit.execute(text("vacuum analyze"))
    await engine.dispose()
    return meters


def _by_meter(chance: random.Random, meters: Sequence[Meter], now: datetime) -> metering.UsageQuery:
    """What a page of usage asks for: one meter by the days or months of this month, or the hours of a week."""
    window, zone = chance.choice(WINDOWS), chance.choice(ZONES)
    start = max(_start(chance, now), now - WEEK) if window == "hour" else _start(chance, now)
    if chance.random() < 0.5:
        group: tuple[str, ...] = chance.choice([(), ("model",), ("status",), ("key",)])
        return metering.UsageQuery(start, now, window, zone, "input_tokens", group)
    return metering.UsageQuery(start, now, window, zone, chance.choice(meters).code, chance.choice([(), ("region",)]))


def _overview(chance: random.Random, now: datetime) -> metering.UsageQuery:
    """Every meter: what the first page shows."""
    return metering.UsageQuery(_start(chance, now), now, chance.choice(("day", "month")), chance.choice(ZONES))


def _hours_of_month(chance: random.Random, meters: Sequence[Meter], now: datetime) -> metering.UsageQuery:
    """What an export asks for: up to 2,900 points."""
    meter = chance.choice(meters).code
    return metering.UsageQuery(month_start(now), now, "hour", chance.choice(ZONES), meter, ("region",))


def _start(chance: random.Random, now: datetime) -> datetime:
    """The beginning of the month, or as often an instant of its first half, to the microsecond."""
    start = month_start(now)
    if chance.random() < 0.5:
        start += timedelta(microseconds=chance.randrange((now - start) // timedelta(microseconds=2)))
    return start
