"""SQL that makes the rollups of ingested events anew, and compares them with their events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository.sources import dimensions_object, raw_events
from omni.domains.metering.repository.unique_sets import (
    EMPTY_SET,
    VALUE_ID,
    chunk_of,
    number_values,
    ordinal_of,
    set_of,
)
from omni.domains.metering.rules.events import REMEMBERED
from omni.foundation.db.sessions import Session, SystemSession

_SLOT = "date_bin('15 minutes', at, timestamptz 'epoch')"


async def recount(session: Session, tenant_id: UUID, meter: Meter, period: tuple[datetime, datetime]) -> None:
    """Makes a meter's rollups of one tenant anew from the events of a period of whole quarters of an hour."""
    parameters: dict[str, Any] = {
        "tenant_id": tenant_id, "meter": meter.code, "type": meter.event_type, "start": period[0], "end": period[1],
    }  # fmt: skip
    for table in ("event_rollups", "event_unique_sets"):
        await session.execute(
            text(
                f"delete from {table} where tenant_id = :tenant_id and meter = :meter "
                "and starts_at >= :start and starts_at < :end"
            ),
            parameters,
        )
    counted = _counted(meter, parameters)
    where = "where tenant_id = :tenant_id and occurred_at >= :start and occurred_at < :end"
    await session.execute(
        text(f"""
            insert into event_rollups (tenant_id, meter, mode, starts_at, dimensions, events, total, moment_total,
                                       largest, latest_at, latest, latest_key, group_id)
            select *, md5(dimensions::text)::uuid from ({_rolled_up(counted, where)}) as made
        """),
        parameters,
    )
    if meter.aggregation == "unique":
        await session.plan_afresh()
        await number_values(session, tenant_id, meter.code, _values_in_order(counted, where), parameters)
        await session.execute(
            text(f"""
                insert into event_unique_sets (tenant_id, meter, mode, starts_at, group_id, chunk, bits)
                select tenant_id, :meter, mode, starts_at, group_id, chunk, bits from ({_sets(counted, where)}) as made
            """),
            parameters,
        )


async def rollup_differences(session: SystemSession, meter: Meter) -> Sequence[RowMapping]:
    """Rollups of a meter that do not equal their events: tenant_id, starts_at, events on both sides."""
    parameters: dict[str, Any] = {"meter": meter.code, "type": meter.event_type}
    statement = f"""
        with counted as ({_rolled_up(_counted(meter, parameters), "")}),
        rolled as (select * from event_rollups where meter = :meter)
        select coalesce(c.tenant_id, r.tenant_id) as tenant_id, coalesce(c.starts_at, r.starts_at) as starts_at,
               coalesce(c.events, 0) as from_events, coalesce(r.events, 0) as rolled_up
        from counted c full join rolled r
          on (c.tenant_id, c.mode, c.starts_at, c.dimensions) = (r.tenant_id, r.mode, r.starts_at, r.dimensions)
        where (c.events, c.total, c.moment_total, c.largest, c.latest, c.latest_key)
            is distinct from (r.events, r.total, r.moment_total, r.largest, r.latest, r.latest_key)
        order by 1, 2
    """
    return await session.all(text(statement), parameters)


async def set_differences(session: SystemSession, meter: Meter) -> Sequence[RowMapping]:
    """Quarters of an hour in which the different values of a `unique` meter are not those of its events: tenant_id,
    starts_at, how many only the events have, how many only the sets have."""
    parameters: dict[str, Any] = {"meter": meter.code, "type": meter.event_type}
    statement = f"""
        with counted as ({_sets(_counted(meter, parameters), "")}),
        rolled as (select * from event_unique_sets where meter = :meter),
        compared as (
            select coalesce(c.tenant_id, r.tenant_id) as tenant_id, coalesce(c.starts_at, r.starts_at) as starts_at,
                   coalesce(bit_count(c.bits & ~coalesce(r.bits, {EMPTY_SET})), c.unknown, 0) as of_events,
                   coalesce(bit_count(r.bits & ~coalesce(c.bits, {EMPTY_SET})), 0) as of_sets
            from counted c full join rolled r
              on (c.tenant_id, c.mode, c.starts_at, c.group_id, c.chunk)
               = (r.tenant_id, r.mode, r.starts_at, r.group_id, r.chunk))
        select tenant_id, starts_at, sum(of_events)::bigint as only_events, sum(of_sets)::bigint as only_sets
        from compared where of_events + of_sets > 0 group by 1, 2 order by 1, 2
    """
    await session.plan_afresh()
    return await session.all(text(statement), parameters)


async def ordinal_differences(session: SystemSession, meter: str) -> Sequence[RowMapping]:
    """Tenants of which not each value has a number of its own below the next one: tenant_id, values, ordinals."""
    statement = text("""
        select v.tenant_id, count(*) as values,
               count(distinct v.ordinal) filter (where v.ordinal >= 0 and v.ordinal < c.next) as ordinals
        from unique_values v left join unique_counters c on (c.tenant_id, c.meter) = (v.tenant_id, v.meter)
        where v.meter = :meter group by 1
        having count(*) <> count(distinct v.ordinal) filter (where v.ordinal >= 0 and v.ordinal < c.next)
        order by 1
    """)
    return await session.all(statement, {"meter": meter})


async def slots_with(session: SystemSession, event_type: str) -> Sequence[RowMapping]:
    """Every quarter of an hour of every tenant that has events of a type, and how many. Looks at all events, so it may
    take long."""
    await session.execute(text("set local statement_timeout = '30min'"))
    statement = text("""
        select tenant_id, date_bin('15 minutes', occurred_at, timestamptz 'epoch') as starts_at, count(*) as events
        from ingested_events where type = :type group by 1, 2 order by 1, 2
    """)
    return await session.all(statement, {"type": event_type})


async def forget_keys(session: SystemSession, now: datetime) -> int:
    """Forgets sources and ids that are older than deduplication goes; returns how many."""
    statement = text("delete from event_keys where seen_at < :forgotten")
    return (await session.execute(statement, {"forgotten": now - REMEMBERED})).rowcount


def _counted(meter: Meter, parameters: dict[str, Any]) -> str:
    return raw_events(meter, parameters, dimensions_object(meter, parameters))


def _rolled_up(counted: str, where: str) -> str:
    last = "(array_agg({} order by latest_at desc, latest_key desc))[1]"
    return f"""
        select tenant_id, cast(:meter as text) as meter, mode,
               {_SLOT} as starts_at, g as dimensions, count(*) as events, sum(total) as total,
               sum(moment_total) as moment_total, max(largest) as largest, max(latest_at) as latest_at,
               {last.format("latest")} as latest, {last.format("latest_key")} as latest_key
        from ({counted}) as counted {where} group by 1, 2, 3, 4, 5
    """


def _values_in_order(counted: str, where: str) -> str:
    """Values as `number_values` wants them: by the quarter of an hour in which they came first, then by group."""
    return f"""
        select value_id, row_number() over (order by starts_at, g, value_id) as place
        from (select distinct on (value_id) * from (
                  select {VALUE_ID.format("unique_value")} as value_id, {_SLOT} as starts_at, g, at
                  from ({counted}) as counted {where}) as found
              order by value_id, at) as first_found
    """


def _sets(counted: str, where: str) -> str:
    """The sets that events make. What has no number is in rows without chunk and bits, and `unknown` says how many."""
    return f"""
        select tenant_id, mode, starts_at, group_id, {chunk_of("ordinal")} as chunk,
               bit_or({set_of("ordinal")}) as bits, count(*) filter (where ordinal is null) as unknown
        from (select *, {ordinal_of("given.tenant_id")} as ordinal
              from (select distinct tenant_id, mode, {_SLOT} as starts_at, md5(g::text)::uuid as group_id,
                           {VALUE_ID.format("unique_value")} as value_id
                    from ({counted}) as counted {where}) as given offset 0) as numbered
        group by 1, 2, 3, 4, 5
    """
