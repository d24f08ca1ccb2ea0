"""SQL that finds events which do not count as somebody may think they do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository.sources import counts
from omni.foundation.db.sessions import ReadSession, SystemSession

_REJECTED = text("""
    select code, type as what, sum(events)::bigint as events, max(sample) as sample from ingest_problems
    where tenant_id = :tenant_id and day >= :day group by code, type order by code, type
""")

_UNKNOWN_METERS = text("""
    select r.meter as what, sum(r.events)::bigint as events, max(r.endpoint) as sample from usage_rollups r
    where r.tenant_id = :tenant_id and r.starts_at >= :since and r.events > 0 and r.meter not like '%\\_nanos'
      and not exists (select 1 from meters m where m.code = r.meter and m.active)
    group by r.meter order by r.meter
""")

_LAPSED = text("""
    select count(*) as events, max(event_id::text) as sample from usage_events
    where tenant_id = :tenant_id and occurred_at >= :since and status = 0
""")

_WRITTEN_OFF = text("""
    select count(*) as events, max(event_id::text) as sample from usage_events
    where tenant_id = :tenant_id and occurred_at >= :since and jsonb_exists(quantities, 'written_off_nanos')
""")

_UNREADABLE = text("""
    select count(*) as events, max(reason) as sample from usage_rejects where created_at >= :since
""")

_TYPES = text("""
    select distinct type from ingested_events
    where tenant_id = :tenant_id and occurred_at >= :since and not counted and voided_at is null order by type
""")


_TENANTS = text("""
    select tenant_id from ingest_problems where day >= :day
    union select tenant_id from ingested_events where occurred_at >= :since and not counted and voided_at is null
    union select r.tenant_id from usage_rollups r
          where r.starts_at >= :since and r.events > 0
            and (r.status = 0 or r.meter = 'written_off_nanos'
                 or (r.meter not like '%\\_nanos'
                     and not exists (select 1 from meters m where m.code = r.meter and m.active)))
    order by 1 limit 100
""")


async def tenants(session: SystemSession, since: datetime) -> list[UUID]:
    """Up to 100 tenants that have any problem."""
    return list((await session.execute(_TENANTS, {"day": since.date(), "since": since})).scalars())


async def rejected(session: ReadSession, since: datetime) -> Sequence[RowMapping]:
    """Rejected events by code and type, from the day of `since` on."""
    return await session.all(_REJECTED, {"tenant_id": session.tenant_id, "day": since.date()})


async def unknown_meters(session: ReadSession, since: datetime) -> Sequence[RowMapping]:
    """Quantities of the gateway's events that no active meter names."""
    return await session.all(_UNKNOWN_METERS, {"tenant_id": session.tenant_id, "since": since})


async def lapsed(session: ReadSession, since: datetime) -> RowMapping:
    """Requests whose lease ran out: what they used beyond a request is not known."""
    row = await session.first(_LAPSED, {"tenant_id": session.tenant_id, "since": since})
    assert row is not None
    return row


async def written_off(session: ReadSession, since: datetime) -> RowMapping:
    """Requests of which a part is not charged, because it went beyond a hard ceiling."""
    row = await session.first(_WRITTEN_OFF, {"tenant_id": session.tenant_id, "since": since})
    assert row is not None
    return row


async def unreadable(session: SystemSession, since: datetime) -> RowMapping:
    """Entries of the usage stream that were no events."""
    row = await session.first(_UNREADABLE, {"since": since})
    assert row is not None
    return row


async def types_not_counted(session: ReadSession, since: datetime) -> list[str]:
    """Types of events that were not counted as they might have been when they came."""
    rows = await session.execute(_TYPES, {"tenant_id": session.tenant_id, "since": since})
    return list(rows.scalars())


async def not_counted(
    session: ReadSession, event_type: str, meters: Sequence[Meter], since: datetime
) -> list[tuple[str, int, str]]:
    """Of a type's events, judged by the meters as they are now: ("", how many none counts, one of them), then the same
    by code of a meter that lacks its member of their data. Zeros are left out."""
    parameters: dict[str, Any] = {"tenant_id": session.tenant_id, "since": since, "type": event_type}
    conditions = [counts(meter, parameters, f"m{number}_") for number, meter in enumerate(meters)]
    counted = " or ".join(f"({each.has_value} and {each.passes})" for each in conditions) or "false"
    wanted = [("", f"not ({counted})")]
    wanted += [
        (meter.code, f"({each.passes}) and not ({each.has_value})")
        for meter, each in zip(meters, conditions, strict=True)
    ]
    columns = ", ".join(
        f"count(*) filter (where {condition}) as n{number}, "
        f"max(e.source || ' ' || e.id) filter (where {condition}) as s{number}"
        for number, (_, condition) in enumerate(wanted)
    )
    statement = f"""
        select {columns} from ingested_events e
        where e.tenant_id = :tenant_id and e.occurred_at >= :since and e.type = :type and not e.counted
          and e.voided_at is null
    """
    row = await session.first(text(statement), parameters)
    assert row is not None
    return [
        (code, row[f"n{number}"], row[f"s{number}"]) for number, (code, _) in enumerate(wanted) if row[f"n{number}"]
    ]
