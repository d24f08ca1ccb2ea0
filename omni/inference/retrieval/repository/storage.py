"""How long vectors are stored: the SQL over their changes, for all tenants."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text

from omni.foundation.db.sessions import SystemSession
from omni.inference.retrieval.tables import vector_changes

_HOURS = text("""
    with hours as (
        select hour, hour + interval '1 hour' as ends
        from generate_series(
            (select date_bin('1 hour', min(changed_at), timestamptz 'epoch') from vector_changes
             where tenant_id = :tenant_id),
            cast(:until as timestamptz) - interval '1 hour', interval '1 hour') as hour)
    select hour, round(sum(vectors * extract(epoch from ends - greatest(changed_at, hour))) / 3600 *
    :vector_bytes)::bigint as byte_hours
    from hours join vector_changes on tenant_id = :tenant_id and changed_at < ends
    group by hour order by hour
""")
_FOLD = text("""
    with folded as (
        delete from vector_changes where tenant_id = :tenant_id and changed_at < :until returning vectors)
    insert into vector_changes (tenant_id, changed_at, vectors)
    select :tenant_id, :until, sum(vectors) from folded having sum(vectors) <> 0
""")


async def tenants_with_changes(session: SystemSession, before: datetime) -> list[UUID]:
    """Tenants that stored vectors before an instant, in hours that are not folded yet."""
    changes = vector_changes.c
    statement = select(changes.tenant_id).where(changes.changed_at < before).distinct().order_by(changes.tenant_id)
    return list((await session.execute(statement)).scalars())


async def lock(session: SystemSession, tenant_id: UUID) -> None:
    """Let one transaction at a time count and fold the changes of a tenant; held until it ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"vectors:{tenant_id}", 0))))


async def byte_hours(
    session: SystemSession, tenant_id: UUID, until: datetime, vector_bytes: int
) -> list[tuple[datetime, int]]:
    """What was stored in each hour from that of the first change to `until`, in bytes times hours, rounded to the
    nearest.
    """
    parameters = {"tenant_id": tenant_id, "until": until, "vector_bytes": vector_bytes}
    return [(row["hour"], row["byte_hours"]) for row in await session.all(_HOURS, parameters)]


async def fold(session: SystemSession, tenant_id: UUID, until: datetime) -> None:
    """Put the changes before an instant together to one at it."""
    await session.execute(_FOLD, {"tenant_id": tenant_id, "until": until})
