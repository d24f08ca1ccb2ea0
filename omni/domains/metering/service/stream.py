"""The gateway's events: drain, reap, rebuild counters, hand usage to billing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID

import redis.asyncio
from redis.exceptions import ResponseError

from omni.contracts import redis_names
from omni.contracts.money import Scope
from omni.contracts.snapshots import Mode
from omni.contracts.usage import QUOTA_METERS, UsageEvent
from omni.domains.metering.contracts import Drained
from omni.domains.metering.repository import stream as repository
from omni.domains.metering.rules.stream import instant, parse_event, roll_up
from omni.domains.metering.service.sessions import OpenSystemSession
from omni.foundation.db.sessions import ReadSession, SystemSession
from omni.kit.clock import month_start, next_month

COUNTER_SECONDS = 40 * 24 * 3600
CLAIM_AFTER_MS = 10_000
EXPIRED_STATUS = 0
"""What the reaper records: the lease ran out before an answer was known."""
RECENTLY_ACTIVE = timedelta(hours=2)

_REAP = files("omni.domains.metering").joinpath("reap.lua").read_text()
_RAISE = files("omni.domains.metering").joinpath("raise_counter.lua").read_text()


Entry = tuple[str, bytes, bytes]
"""Stream, entry id, raw event."""


class Drain:
    """Moves usage events from the Redis streams into PostgreSQL: each once, however often it is delivered."""

    def __init__(self, client: redis.asyncio.Redis, open_session: OpenSystemSession, consumer: str) -> None:
        self._redis = client
        self._open_session = open_session
        self._consumer = consumer
        self._streams = [redis_names.usage_stream(number) for number in range(redis_names.PARTITIONS)]

    async def prepare(self) -> None:
        """Makes the streams' consumer groups where they are missing (first start, or after a flush)."""
        for stream in self._streams:
            try:
                await self._redis.xgroup_create(stream, redis_names.DRAIN_GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def read(self, limit: int, block_ms: int) -> list[Entry]:
        """New entries, waiting up to `block_ms` for the first. Prepares again when a flush took the groups."""
        wanted: dict[Any, Any] = dict.fromkeys(self._streams, ">")
        try:
            found = await self._redis.xreadgroup(
                redis_names.DRAIN_GROUP, self._consumer, wanted, count=limit, block=block_ms
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self.prepare()
            return []
        batches = found.items() if isinstance(found, dict) else found
        return [entry for stream, batch in batches for entry in _entries(stream, batch)]

    async def claim_abandoned(self, limit: int) -> list[Entry]:
        """Entries that another consumer read and never acknowledged. Prepares again when a flush took the groups."""
        claimed: list[Entry] = []
        for stream in self._streams:
            try:
                answer = await self._redis.xautoclaim(
                    stream, redis_names.DRAIN_GROUP, self._consumer, min_idle_time=CLAIM_AFTER_MS, count=limit
                )
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                await self.prepare()
                return claimed
            claimed += _entries(stream, answer[1])
        return claimed

    async def store(self, entries: Sequence[Entry]) -> Drained:
        """Writes events and rollups in one transaction, then acknowledges; if the database raises, nothing is lost."""
        events: dict[UUID, UsageEvent] = {}
        rejects: list[tuple[bytes, str]] = []
        for _, _, raw in entries:
            try:
                event = parse_event(raw)
            except ValueError as error:
                rejects.append((raw, str(error)))
            else:
                known = events.get(event.event_id)
                if known is None or known.status == EXPIRED_STATUS:  # what its gateway settled goes before the reaper's
                    events[event.event_id] = event
        async with self._open_session() as session:
            new = await record(session, list(events.values()))
            if rejects:
                await repository.insert_rejects(session, rejects)
        await self._acknowledge(entries)
        return Drained(
            len(new),
            len(entries) - len(rejects) - len(new),
            len(rejects),
            _last_used(new),
            tuple([event.occurred_at_micros for event in new]),
        )

    async def backlog(self) -> int:
        """Entries that are in the streams: not yet read, or read and not yet stored."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for stream in self._streams:
                pipeline.xlen(stream)
            return sum(await pipeline.execute())

    async def _acknowledge(self, entries: Sequence[Entry]) -> None:
        by_stream: dict[str, list[bytes]] = {}
        for stream, entry_id, _ in entries:
            by_stream.setdefault(stream, []).append(entry_id)
        async with self._redis.pipeline(transaction=False) as pipeline:
            for stream, ids in by_stream.items():
                pipeline.xack(stream, redis_names.DRAIN_GROUP, *ids)
                pipeline.xdel(stream, *ids)
            await pipeline.execute()


class Counters:
    """The monthly counters and holds in Redis, as the worker tends them."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._reap = client.register_script(_REAP)
        self._raise = client.register_script(_RAISE)

    async def reap(self, limit: int = 200) -> int:
        """Settles holds whose lease ran out, in every partition; returns how many."""
        reaped = 0
        for number in range(redis_names.PARTITIONS):
            keys = [
                redis_names.holds_index(number), redis_names.holds_data(number), redis_names.usage_stream(number),
                redis_names.reaped(number),
            ]  # fmt: skip
            reaped += int(await self._reap(keys=keys, args=[limit]))
        return reaped

    async def partitions_not_ready(self) -> list[int]:
        """Partitions whose counters are gone: a new Redis, or one that was flushed."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for number in range(redis_names.PARTITIONS):
                pipeline.exists(redis_names.counters_ready(number))
            present = await pipeline.execute()
        return [number for number, exists in enumerate(present) if not exists]

    async def raise_to_truth(self, session: SystemSession, now: datetime) -> None:
        """Raises counters of recently active tenants to what PostgreSQL knows, if they are below it.

        A counter runs ahead of the database (requests in flight, events under way), so one that is behind has missed
        something: requests admitted while Redis was away, or writes that it lost.
        """
        totals = await repository.month_totals(
            session, month_start(now), next_month(now), active_since=now - RECENTLY_ACTIVE
        )
        for _, key, quantity in _quota_counters(totals, now):
            await self._raise(keys=[key], args=[quantity, COUNTER_SECONDS])
        for key, nanos, seconds in await _spend_counters(session, now, active_since=now - RECENTLY_ACTIVE):
            await self._raise(keys=[key], args=[nanos, seconds])

    async def rebuild(self, session: SystemSession, partitions: Sequence[int], now: datetime) -> None:
        """Sets this month's counters to what PostgreSQL knows, then opens the partitions."""
        month = month_start(now)
        totals = await repository.month_totals(session, month, next_month(now))
        async with self._redis.pipeline(transaction=False) as pipeline:
            for tenant_id, key, quantity in _quota_counters(totals, month):
                if redis_names.partition_of(tenant_id) in partitions:
                    pipeline.set(key, quantity, ex=COUNTER_SECONDS)
            tags = tuple(redis_names.tag(number) for number in partitions)
            for key, nanos, seconds in await _spend_counters(session, now):
                if key.startswith(tags):
                    pipeline.set(key, nanos, ex=seconds or None)
            for number in partitions:
                pipeline.set(redis_names.counters_ready(number), "1")
            await pipeline.execute()


def _quota_counters(totals: Sequence[Mapping[Any, Any]], month: datetime) -> list[tuple[UUID, str, int]]:
    """Tenant, counter and what it stands at, of what a month's use says."""
    counted: dict[tuple[UUID, str], int] = {}
    for row in totals:
        if row["meter"] in QUOTA_METERS:
            meter = QUOTA_METERS[row["meter"]]
            key = redis_names.quota_key(row["tenant_id"], row["mode"], f"{month:%Y%m}", meter)
            counted[row["tenant_id"], key] = counted.get((row["tenant_id"], key), 0) + row["quantity"]
    return [(tenant_id, key, quantity) for (tenant_id, key), quantity in counted.items()]


async def _spend_counters(
    session: SystemSession, now: datetime, active_since: datetime | None = None
) -> list[tuple[str, int, int]]:
    """Every counter of spending: name, nano-units, seconds to live (0 = for ever)."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await repository.spend_totals(session, day, month_start(now), active_since)
    periods = (("all", "all", 0), ("month", f"{now:%Y%m}", COUNTER_SECONDS), ("day", f"{now:%Y%m%d}", COUNTER_SECONDS))
    return [
        (redis_names.spend_key(row["scope_id"], row["tenant_id"], "live", period), row[column], seconds)
        for row in rows
        for column, period, seconds in periods
        if row[column] or period == "all"
    ]


async def spent(session: ReadSession, scope: Scope, scope_id: UUID, since: datetime | None, mode: Mode = "live") -> int:
    """Nano-units that the session's tenant, or a project or key of it, has spent since an instant or ever."""
    return await repository.spent(
        session,
        {
            "mode": mode,
            "since": since,
            "project_id": scope_id if scope == "project" else None,
            "key_id": scope_id if scope == "key" else None,
        },
    )


async def record(session: SystemSession, events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """Writes events and adds the new ones to the rollups; returns the new ones."""
    if not events:
        return []
    added = await repository.insert_events(session, events)
    new = [event for event in events if event.event_id in added]
    totals = roll_up(new)
    if totals:
        await repository.add_to_rollups(session, totals)
    known = [event for event in events if event.event_id not in added and event.status != EXPIRED_STATUS]
    if known:
        await _correct_expired(session, known)
    return new


async def _correct_expired(session: SystemSession, events: Sequence[UsageEvent]) -> None:
    """A request whose lease ran out, and that its gateway could settle after all, counts as what it really was."""
    expired = await repository.lock_expired(session, events)
    if not expired:
        return
    ids = {event.event_id for event in expired}
    settled = [event for event in events if event.event_id in ids]
    for event in settled:
        await repository.replace_event(session, event)
    gained, lost = roll_up(settled), roll_up(expired)
    if gained:
        await repository.add_to_rollups(session, gained)
    if lost:
        await repository.take_from_rollups(session, lost)


async def ensure_partitions(session: SystemSession, now: datetime) -> None:
    """The partitions of last month (late events), this and the two that follow."""
    month = month_start(month_start(now) - timedelta(days=1))
    for _ in range(4):
        await repository.ensure_partitions(session, month)
        month = next_month(month)


def _entries(stream: bytes | str, batch: object) -> list[Entry]:
    name = stream.decode() if isinstance(stream, bytes) else stream
    found: list[Entry] = []
    for item in _flat(batch):
        entry_id, fields = item
        if fields:
            found.append((name, entry_id, fields.get(b"e", b"")))
    return found


def _flat(batch: object) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """redis-py answers with [(id, fields)], or with [[(id, fields)]] under RESP3."""
    rows = batch if isinstance(batch, list) else []
    if rows and isinstance(rows[0], list) and rows[0] and isinstance(rows[0][0], tuple | list):
        rows = rows[0]
    return [(row[0], row[1]) for row in rows]


def _last_used(events: Sequence[UsageEvent]) -> dict[tuple[UUID, UUID], datetime]:
    newest: dict[tuple[UUID, UUID], int] = {}
    for event in events:
        key = (event.tenant_id, event.key_id)
        newest[key] = max(newest.get(key, 0), event.occurred_at_micros)
    return {key: instant(micros) for key, micros in newest.items()}
