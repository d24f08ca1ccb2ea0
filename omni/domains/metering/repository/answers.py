"""SQL of how requests ended: those that count as a request are in the rollups, the others only among the raw events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, text

from omni.contracts.snapshots import Mode
from omni.contracts.usage import CACHED_REQUESTS, REQUESTS, STORAGE_ENDPOINT
from omni.foundation.db.sessions import ReadSession

_BY_SLOT = text(f"""
    with answers as (
        select starts_at as slot, status, events from usage_rollups
        where tenant_id = :tenant_id and mode = :mode and meter in ('{REQUESTS}', '{CACHED_REQUESTS}')
          and starts_at >= :start and starts_at < :end and events > 0
        union all
        select date_bin('15 minutes', occurred_at, timestamptz 'epoch'), status, 1::bigint from usage_events
        where tenant_id = :tenant_id and mode = :mode and occurred_at >= :start and occurred_at < :end
          and not jsonb_exists_any(quantities, '{{{REQUESTS},{CACHED_REQUESTS}}}'::text[])
          and endpoint <> '{STORAGE_ENDPOINT}')
    select slot, sum(events)::bigint as valid,
           coalesce(sum(events) filter (where status >= 500 or status = 0), 0)::bigint as failed
    from answers group by slot order by slot
""")
"""The condition on the raw events is that of the index ix_usage_events_uncounted."""


async def by_slot(session: ReadSession, start: datetime, end: datetime, mode: Mode) -> Sequence[RowMapping]:
    """Slot, valid and failed requests of each quarter of an hour in [start, end) that had any."""
    return await session.all(_BY_SLOT, {"tenant_id": session.tenant_id, "mode": mode, "start": start, "end": end})
