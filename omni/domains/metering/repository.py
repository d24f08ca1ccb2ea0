"""SQL of metering."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert

from omni.contracts.usage import UsageEvent
from omni.domains.metering.rules import RollupKey, instant
from omni.domains.metering.tables import meters, usage_rejects
from omni.foundation.db.sessions import ReadSession, Session, SystemSession
from omni.kit.ids import uuid7

_INSERT_EVENTS = text("""
    insert into usage_events (tenant_id, event_id, project_id, key_id, mode, occurred_at, endpoint, model, status,
                              duration_micros, quantities, attributes)
    select * from unnest(
        cast(:tenant_ids as uuid[]), cast(:event_ids as uuid[]), cast(:project_ids as uuid[]), cast(:key_ids as uuid[]),
        cast(:modes as text[]), cast(:occurred_at as timestamptz[]), cast(:endpoints as text[]),
        cast(:models as text[]), cast(:statuses as int[]), cast(:durations as bigint[]), cast(:quantities as jsonb[]),
        cast(:attributes as jsonb[]))
    on conflict do nothing
    returning event_id
""")

_ADD_TO_ROLLUPS = text("""
    insert into usage_hourly (tenant_id, hour, mode, meter, project_id, key_id, endpoint, model, quantity, events)
    select * from unnest(
        cast(:tenant_ids as uuid[]), cast(:hours as timestamptz[]), cast(:modes as text[]), cast(:meters as text[]),
        cast(:project_ids as uuid[]), cast(:key_ids as uuid[]), cast(:endpoints as text[]), cast(:models as text[]),
        cast(:quantities as bigint[]), cast(:events as bigint[]))
    on conflict (tenant_id, hour, mode, meter, project_id, key_id, endpoint, model) do update
    set quantity = usage_hourly.quantity + excluded.quantity, events = usage_hourly.events + excluded.events
""")

_TAKE_FROM_ROLLUPS = text("""
    update usage_hourly r set quantity = r.quantity - t.quantity, events = r.events - t.events
    from unnest(
        cast(:tenant_ids as uuid[]), cast(:hours as timestamptz[]), cast(:modes as text[]), cast(:meters as text[]),
        cast(:project_ids as uuid[]), cast(:key_ids as uuid[]), cast(:endpoints as text[]), cast(:models as text[]),
        cast(:quantities as bigint[]), cast(:events as bigint[]))
        as t (tenant_id, hour, mode, meter, project_id, key_id, endpoint, model, quantity, events)
    where (r.tenant_id, r.hour, r.mode, r.meter, r.project_id, r.key_id, r.endpoint, r.model)
        = (t.tenant_id, t.hour, t.mode, t.meter, t.project_id, t.key_id, t.endpoint, t.model)
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
    from usage_hourly where hour >= :start and hour < :end
      and (cast(:active_since as timestamptz) is null
           or tenant_id in (select tenant_id from usage_hourly where hour >= :active_since))
    group by tenant_id, mode, meter
""")

_SPEND_TOTALS = text("""
    select tenant_id, coalesce(key_id, project_id, tenant_id) as scope_id, sum(quantity)::bigint as "all",
           coalesce(sum(quantity) filter (where hour >= :month), 0)::bigint as month,
           coalesce(sum(quantity) filter (where hour >= :day), 0)::bigint as day
    from usage_hourly
    where meter = 'spend_nanos' and mode = 'live'
      and (cast(:active_since as timestamptz) is null
           or tenant_id in (select tenant_id from usage_hourly where hour >= :active_since))
    group by grouping sets ((tenant_id), (tenant_id, project_id), (tenant_id, key_id))
""")

_SPENT = text("""
    select coalesce(sum(quantity), 0)::bigint from usage_hourly
    where meter = 'spend_nanos' and mode = :mode and (cast(:since as timestamptz) is null or hour >= :since)
      and (cast(:project_id as uuid) is null or project_id = :project_id)
      and (cast(:key_id as uuid) is null or key_id = :key_id)
""")

_SERIES = text("""
    select date_trunc(:window, hour, :zone) as start,
           case :group_by when 'meter' then meter when 'endpoint' then endpoint when 'model' then model
                when 'project' then project_id::text when 'key' then key_id::text end as "group",
           sum(quantity)::bigint as quantity, sum(events)::bigint as events
    from usage_hourly
    where hour >= :since and hour < :until and mode = :mode and (cast(:meter as text) is null or meter = :meter)
    group by 1, 2 order by 1, 2
""")

_BILLABLE = text("""
    select meter, model, hour, sum(quantity)::bigint as quantity, sum(events)::bigint as events
    from usage_hourly where hour >= :start and hour < :end and mode = 'live' and meter not like '%\\_nanos'
    group by meter, model, hour order by meter, model, hour
""")

_BILLABLE_FROM_EVENTS = text("""
    select q.key as meter, e.model, date_trunc('hour', e.occurred_at, 'UTC') as hour,
           sum(q.value::bigint)::bigint as quantity, count(*) as events
    from usage_events e cross join lateral jsonb_each_text(e.quantities) q
    where e.occurred_at >= :start and e.occurred_at < :end and e.mode = 'live' and q.key not like '%\\_nanos'
    group by 1, 2, 3 order by 1, 2, 3
""")

_EVENTS_AGAINST_ROLLUPS = text("""
    with counted as (
        select e.tenant_id, date_trunc('hour', e.occurred_at, 'UTC') as hour, e.mode, q.key as meter, e.project_id,
               e.key_id, e.endpoint, e.model, sum(q.value::bigint)::bigint as quantity, count(*) as events
        from usage_events e cross join lateral jsonb_each_text(e.quantities) q
        group by 1, 2, 3, 4, 5, 6, 7, 8)
    select coalesce(c.tenant_id, r.tenant_id) as tenant_id, coalesce(c.meter, r.meter) as meter,
           coalesce(c.hour, r.hour) as hour, coalesce(c.quantity, 0) as from_events,
           coalesce(r.quantity, 0) as rolled_up
    from counted c full join usage_hourly r
      on (c.tenant_id, c.hour, c.mode, c.meter, c.project_id, c.key_id, c.endpoint, c.model)
       = (r.tenant_id, r.hour, r.mode, r.meter, r.project_id, r.key_id, r.endpoint, r.model)
    where coalesce(c.quantity, 0) <> coalesce(r.quantity, 0) or coalesce(c.events, 0) <> coalesce(r.events, 0)
    order by 1, 2, 3
""")


async def insert_events(session: SystemSession, events: Sequence[UsageEvent]) -> set[UUID]:
    """Adds the events that are not there yet; returns their ids."""
    rows = await session.execute(
        _INSERT_EVENTS,
        {
            "tenant_ids": [event.tenant_id for event in events],
            "event_ids": [event.event_id for event in events],
            "project_ids": [event.project_id for event in events],
            "key_ids": [event.key_id for event in events],
            "modes": [event.mode for event in events],
            "occurred_at": [instant(event.occurred_at_micros) for event in events],
            "endpoints": [event.endpoint for event in events],
            "models": [event.model for event in events],
            "statuses": [event.status for event in events],
            "durations": [event.duration_micros for event in events],
            "quantities": [orjson.dumps(event.quantities).decode() for event in events],
            "attributes": [orjson.dumps(event.attributes).decode() for event in events],
        },
    )
    return set(rows.scalars())


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


async def insert_missing_meters(session: Session, rows: Sequence[dict[str, str]]) -> None:
    await session.execute(insert(meters).on_conflict_do_nothing(), list(rows))


async def all_meters(session: Session) -> Sequence[RowMapping]:
    return await session.all(select(meters).order_by(meters.c.code))


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


async def series(session: ReadSession, parameters: dict[str, object]) -> Sequence[RowMapping]:
    """Usage by window and group."""
    return await session.all(_SERIES, parameters)


async def billable(session: ReadSession, start: datetime, end: datetime) -> Sequence[RowMapping]:
    """Live usage by meter and hour, from the rollups."""
    return await session.all(_BILLABLE, {"start": start, "end": end})


async def billable_from_events(session: ReadSession, start: datetime, end: datetime) -> Sequence[RowMapping]:
    """Live usage by meter and hour, counted from the raw events."""
    return await session.all(_BILLABLE_FROM_EVENTS, {"start": start, "end": end})


async def events_against_rollups(session: SystemSession) -> Sequence[RowMapping]:
    """Rollup rows that do not equal their events."""
    return await session.all(_EVENTS_AGAINST_ROLLUPS)


async def count_rejects(session: SystemSession) -> int:
    return int(await session.scalar(text("select count(*) from usage_rejects")))


def _rollup_arrays(totals: dict[RollupKey, tuple[int, int]]) -> dict[str, list[object]]:
    keys = sorted(totals)
    return {
        "tenant_ids": [key.tenant_id for key in keys],
        "hours": [key.hour for key in keys],
        "modes": [key.mode for key in keys],
        "meters": [key.meter for key in keys],
        "project_ids": [key.project_id for key in keys],
        "key_ids": [key.key_id for key in keys],
        "endpoints": [key.endpoint for key in keys],
        "models": [key.model for key in keys],
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
