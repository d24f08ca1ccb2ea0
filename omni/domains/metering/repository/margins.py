"""SQL of what requests earned and cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, text

from omni.foundation.db.sessions import SystemSession

COLUMNS = {"tenant": "tenant_id::text", "model": "model", "endpoint": "endpoint"}

_MARGINS = """
    select {group} as group_value,
           coalesce(sum(quantity) filter (where meter = 'requests'), 0)::bigint as requests,
           coalesce(sum(quantity) filter (where meter = 'spend_nanos'), 0) as earned,
           coalesce(sum(quantity) filter (where meter = 'cost_nanos'), 0) as cost,
           coalesce(sum(quantity) filter (where meter = 'written_off_nanos'), 0) as written_off
    from usage_rollups
    where mode = 'live' and starts_at >= :start and starts_at < :end
      and meter in ('requests', 'spend_nanos', 'cost_nanos', 'written_off_nanos')
    group by 1 order by 1
"""


async def margins(session: SystemSession, group_by: str, start: datetime, end: datetime) -> Sequence[RowMapping]:
    """Live requests of all tenants in [start, end), whole quarters of an hour, by group."""
    statement = text(_MARGINS.format(group=COLUMNS[group_by]))
    return await session.all(statement, {"start": start, "end": end})
