"""SQL of the gateway's usage events: what the drain writes, what counters are rebuilt from, what `verify` compares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text

from omni.contracts.usage import UsageEvent
from omni.domains.metering.rules.stream import RollupKey, instant
from omni.domains.metering.tables import usage_rejects
from omni.foundation.db.sessions import ReadSession, SystemSession
from omni.kit.ids import uuid7

_INSERT_EVENTS = text("""
    with given as (
        select encode(event_id, 'hex')::uuid as event_id, occurred_at, head, duration, quantities::jsonb as quantities,
               attributes::jsonb as attributes, number
        from unnest(cast(:event_ids as bytea[]), cast(:occurred_at as timestamptz[]), cast(:heads as int[]),
                    cast(:durations as bigint[]), cast(:quantities as text[]), cast(:attributes as text[]))
            with ordinality as given (event_id, occurred_at, head, duration, quantities, attributes, number)),
    heads as (
        select * from unnest(cast(:tenant_ids as uuid[]), cast(:project_ids as uuid[]), cast(:key_ids as uuid[]),
                             cast(:modes as text[]), cast(:endpoints as text[]), cast(:models as text[]),
                             cast(:statuses as int[]))
            with ordinality as heads (tenant_id, project_id, key_id, mode, endpoint, model, status, head)),
    added as (
        insert into usage_events (tenant_id, event_id, project_id, key_id, mode, occurred_at, endpoint, model, status,
                                  duration_micros, quantities, attributes)
        select tenant_id, event_id, project_id, key_id, mode, occurred_at, endpoint, model, status, duration,
               quantities, attributes
        from given join heads using (head)
        order by tenant_id, event_id
        on conflict do nothing
        returning tenant_id, event_id)
    select number from given join heads using (head)
    where not exists (select 1 from added where (added.tenant_id, added.event_id) = (heads.tenant_id, given.event_id))
""")
"""What many events of a batch share is sent once: who asked for what, and how it ended. Answers with the places, from
1, of the events that were there already. Rows go in by key, so that two that bring the same events wait for one
another in turn and never in a circle."""

_ROLLUP_ARRAYS = """
        cast(:tenant_ids as uuid[]), cast(:meters as text[]), cast(:modes as text[]), cast(:starts as timestamptz[]),
        cast(:project_ids as uuid[]), cast(:key_ids as uuid[]), cast(:endpoints as text[]), cast(:models as text[]),
        cast(:statuses as int[]), cast(:quantities as bigint[]), cast(:events as bigint[])
"""
_ROLLUP_KEY = "tenant_id, meter, mode, starts_at, project_id, key_id, endpoint, model, status"

_ADD_TO_ROLLUPS = text(f"""
    insert into usage_rollups ({_ROLLUP_KEY}, quantity, events)
    select * from unnest({_ROLLUP_ARRAYS})
    on conflict ({_ROLLUP_KEY}) do update
    set quantity = usage_rollups.quantity + excluded.quantity, events = usage_rollups.events + excluded.events
""")

_TAKE_FROM_ROLLUPS = text(f"""
    update usage_rollups r set quantity = r.quantity - t.quantity, events = r.events - t.events
    from unnest({_ROLLUP_ARRAYS}) as t ({_ROLLUP_KEY}, quantity, events)
    where (r.tenant_id, r.meter, r.mode, r.starts_at, r.project_id, r.key_id, r.endpoint, r.model, r.status)
        = (t.tenant_id, t.meter, t.mode, t.starts_at, t.project_id, t.key_id, t.endpoint, t.model, t.status)
""")

_LOCK_EXPIRED = text("""
    select e.* from usage_events e
    join unnest(cast(:tenant_ids as uuid[]), cast(:event_ids as uuid[])) as t (tenant_id, event_id)
      on (e.tenant_id, e.event_id) = (t.tenant_id, t.event_id)
    where e.status = 0 order by e.tenant_id, e.event_id for update of e
""")

_REPLACE_EVENT = text("""
    update usage_events set model = :model, status = :status, duration_micros = :duration,
           quantities = cast(:quantities as jsonb), attributes = cast(:attributes as jsonb)
    where tenant_id = :tenant_id and event_id = :event_id
""")

_MONTH_TOTALS = text("""
    select tenant_id, mode, meter, sum(quantity)::bigint as quantity
    from usage_rollups where starts_at >= :start and starts_at < :end
      and (cast(:active_since as timestamptz) is null
           or tenant_id in (select tenant_id from usage_rollups where starts_at >= :active_since))
    group by tenant_id, mode, meter
""")

_SPEND_TOTALS = text("""
    select tenant_id, coalesce(key_id, project_id, tenant_id) as scope_id, sum(quantity)::bigint as "all",
           coalesce(sum(quantity) filter (where starts_at >= :month), 0)::bigint as month,
           coalesce(sum(quantity) filter (where starts_at >= :day), 0)::bigint as day
    from usage_rollups
    where meter = 'spend_nanos' and mode = 'live'
      and (cast(:active_since as timestamptz) is null
           or tenant_id in (select tenant_id from usage_rollups where starts_at >= :active_since))
    group by grouping sets ((tenant_id), (tenant_id, project_id), (tenant_id, key_id))
""")

_SPENT = text("""
    select coalesce(sum(quantity), 0)::bigint from usage_rollups
    where meter = 'spend_nanos' and mode = :mode and (cast(:since as timestamptz) is null or starts_at >= :since)
      and (cast(:project_id as uuid) is null or project_id = :project_id)
      and (cast(:key_id as uuid) is null or key_id = :key_id)
""")

_EVENTS_AGAINST_ROLLUPS = text("""
    with counted as (
        select e.tenant_id, date_bin('15 minutes', e.occurred_at, timestamptz 'epoch') as starts_at, e.mode,
               q.key as meter, e.project_id, e.key_id, e.endpoint, e.model, e.status,
               sum(q.value::bigint)::bigint as quantity, count(*) as events
        from usage_events e cross join lateral jsonb_each_text(e.quantities) q
        group by 1, 2, 3, 4, 5, 6, 7, 8, 9)
    select coalesce(c.tenant_id, r.tenant_id) as tenant_id, coalesce(c.meter, r.meter) as meter,
           coalesce(c.starts_at, r.starts_at) as starts_at, coalesce(c.quantity, 0) as from_events,
           coalesce(r.quantity, 0) as rolled_up
    from counted c full join usage_rollups r
      on (c.tenant_id, c.starts_at, c.mode, c.meter, c.project_id, c.key_id, c.endpoint, c.model, c.status)
       = (r.tenant_id, r.starts_at, r.mode, r.meter, r.project_id, r.key_id, r.endpoint, r.model, r.status)
    where coalesce(c.quantity, 0) <> coalesce(r.quantity, 0) or coalesce(c.events, 0) <> coalesce(r.events, 0)
    order by 1, 2, 3
""")


async def insert_events(session: SystemSession, events: Sequence[UsageEvent]) -> set[UUID]:
    """Adds the events that are not there yet; returns their ids. No id comes twice in `events`."""
    heads: dict[tuple[UUID, UUID, UUID, str, str, str, int], int] = {}
    places = [
        heads.setdefault(
            (e.tenant_id, e.project_id, e.key_id, e.mode, e.endpoint, e.model, e.status), len(heads) + 1
        )
        for e in events
    ]  # fmt: skip
    names = ("tenant_ids", "project_ids", "key_ids", "modes", "endpoints", "models", "statuses")
    rows = await session.execute(
        _INSERT_EVENTS,
        {
            "event_ids": [event.event_id.bytes for event in events],
            "occurred_at": [instant(event.occurred_at_micros) for event in events],
            "heads": places,
            "durations": [event.duration_micros for event in events],
            "quantities": [orjson.dumps(event.quantities).decode() for event in events],
            "attributes": [orjson.dumps(event.attributes).decode() for event in events],
            **{name: list(values) for name, values in zip(names, zip(*heads, strict=True), strict=True)},
        },
    )
    known = {events[number - 1].event_id for number in rows.scalars()}
    return {event.event_id for event in events if event.event_id not in known}


async def lock_expired(session: SystemSession, events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """Those of the events that were recorded as expired (status 0), as they stand, locked."""
    parameters = {
        "tenant_ids": [event.tenant_id for event in events],
        "event_ids": [event.event_id for event in events],
    }
    return [_from_row_event(row) for row in await session.all(_LOCK_EXPIRED, parameters)]


async def replace_event(session: SystemSession, event: UsageEvent) -> None:
    """Puts what is known now in the place of an expired event."""
    await session.execute(
        _REPLACE_EVENT,
        {
            "tenant_id": event.tenant_id,
            "event_id": event.event_id,
            "model": event.model,
            "status": event.status,
            "duration": event.duration_micros,
            "quantities": orjson.dumps(event.quantities).decode(),
            "attributes": orjson.dumps(event.attributes).decode(),
        },
    )


async def take_from_rollups(session: SystemSession, totals: dict[RollupKey, tuple[int, int]]) -> None:
    """Takes quantities and event counts out again. Raises IntegrityError when more would go than is there."""
    await session.execute(_TAKE_FROM_ROLLUPS, _rollup_arrays(totals))


async def add_to_rollups(session: SystemSession, totals: dict[RollupKey, tuple[int, int]]) -> None:
    """Adds quantities and event counts. Rows are locked in one order, so two drains cannot deadlock."""
    await session.execute(_ADD_TO_ROLLUPS, _rollup_arrays(totals))


async def insert_rejects(session: SystemSession, rejects: Sequence[tuple[bytes, str]]) -> None:
    rows = [{"id": uuid7(), "raw": raw.decode("utf-8", "replace"), "reason": reason} for raw, reason in rejects]
    await session.execute(usage_rejects.insert(), rows)


async def ensure_partitions(session: SystemSession, month: datetime) -> None:
    """Makes the partition for the month that `month` is in, unless it is there."""
    await session.execute(text("select ensure_usage_partition(:moment)"), {"moment": month})


async def month_totals(
    session: SystemSession, start: datetime, end: datetime, active_since: datetime | None = None
) -> Sequence[RowMapping]:
    """Use of each meter between two instants, of every tenant or of those that used anything since `active_since`."""
    return await session.all(_MONTH_TOTALS, {"start": start, "end": end, "active_since": active_since})


async def spend_totals(
    session: SystemSession, day: datetime, month: datetime, active_since: datetime | None = None
) -> Sequence[RowMapping]:
    """Nano-units spent by each tenant, project and key: in all, since `month` and since `day`."""
    return await session.all(_SPEND_TOTALS, {"day": day, "month": month, "active_since": active_since})


async def spent(session: ReadSession, parameters: dict[str, object]) -> int:
    """Nano-units spent by the session's tenant, or one project or key of it."""
    return int(await session.scalar(_SPENT, parameters))


async def events_against_rollups(session: SystemSession) -> Sequence[RowMapping]:
    """Rollup rows that do not equal their events."""
    return await session.all(_EVENTS_AGAINST_ROLLUPS)


async def count_rejects(session: SystemSession) -> int:
    return int(await session.scalar(text("select count(*) from usage_rejects")))


def _rollup_arrays(totals: dict[RollupKey, tuple[int, int]]) -> dict[str, list[object]]:
    keys = sorted(totals)
    return {
        "tenant_ids": [key.tenant_id for key in keys],
        "starts": [key.starts_at for key in keys],
        "modes": [key.mode for key in keys],
        "meters": [key.meter for key in keys],
        "project_ids": [key.project_id for key in keys],
        "key_ids": [key.key_id for key in keys],
        "endpoints": [key.endpoint for key in keys],
        "models": [key.model for key in keys],
        "statuses": [key.status for key in keys],
        "quantities": [totals[key][0] for key in keys],
        "events": [totals[key][1] for key in keys],
    }


def _from_row_event(row: RowMapping) -> UsageEvent:
    at: datetime = row["occurred_at"]
    return UsageEvent(
        event_id=row["event_id"],
        tenant_id=row["tenant_id"],
        project_id=row["project_id"],
        key_id=row["key_id"],
        mode=row["mode"],
        occurred_at_micros=int(at.timestamp()) * 1_000_000 + at.microsecond,
        endpoint=row["endpoint"],
        model=row["model"],
        status=row["status"],
        duration_micros=row["duration_micros"],
        quantities=row["quantities"],
        attributes=row["attributes"],
    )
