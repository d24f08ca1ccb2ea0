"""SQL of what happens on the whole platform."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from omni.contracts.usage import STORAGE_ENDPOINT
from omni.foundation.db.sessions import SystemSession
from omni.kit.clock import month_start

DAY = timedelta(hours=24)

_ACTIVE = text(f"""
    select count(distinct tenant_id) from (
        select tenant_id from usage_rollups
        where mode = 'live' and starts_at >= :since and endpoint <> '{STORAGE_ENDPOINT}'
        union all
        select tenant_id from event_rollups where mode = 'live' and starts_at >= :since) as used
""")
_USED = text("""
    select meter, sum(quantity)::bigint as quantity from usage_rollups
    where mode = 'live' and starts_at >= :since group by meter
""")


async def active_tenants(session: SystemSession, now: datetime) -> int:
    """Tenants with live usage within 24 hours, to the quarter of an hour. Storing something is none."""
    return int(await session.scalar(_ACTIVE, {"since": now - DAY}))


async def used_this_month(session: SystemSession, now: datetime) -> dict[str, int]:
    """Live usage of requests by every tenant, by meter, money too."""
    return {row["meter"]: row["quantity"] for row in await session.all(_USED, {"since": month_start(now)})}
