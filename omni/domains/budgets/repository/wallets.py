"""SQL of wallets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.budgets.contracts import Grant, NewGrant, TopUp
from omni.domains.budgets.tables import wallet_credits, wallet_top_ups
from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession


async def credit(session: ReadSession) -> int | None:
    """The sum of all credits, less what expired; None when there never was one."""
    table = wallet_credits.c
    statement = select(func.sum(table.amount_nanos - table.expired_nanos)).where(table.tenant_id == session.tenant_id)
    total = await session.scalar(statement)
    return None if total is None else int(total)


async def insert_grant(session: WriteSession, grant_id: UUID, new: NewGrant, reference: str, now: datetime) -> bool:
    """False when there is one with this reference."""
    row = {
        "tenant_id": session.tenant_id,
        "id": grant_id,
        "amount_nanos": new.amount_nanos,
        "reason": new.reason,
        "created_by": new.created_by,
        "created_at": now,
        "source": new.source,
        "priority": new.priority,
        "reference": reference,
        "expires_at": new.expires_at,
    }
    statement = insert(wallet_credits).values(row).on_conflict_do_nothing(constraint="uq_wallet_credits_reference")
    return (await session.execute(statement)).rowcount == 1


async def grants(session: ReadSession, *, lock: bool = False) -> list[Grant]:
    """Oldest first; locked, they stay as they are until this transaction ends."""
    table = wallet_credits.c
    statement = select(wallet_credits).where(table.tenant_id == session.tenant_id)
    statement = statement.order_by(table.created_at, table.id)
    return [_from_row(row) for row in await session.all(statement.with_for_update() if lock else statement)]


async def find_grant(session: ReadSession, reference: str) -> Grant | None:
    table = wallet_credits.c
    row = await session.first(
        select(wallet_credits).where(table.tenant_id == session.tenant_id, table.reference == reference)
    )
    return None if row is None else _from_row(row)


async def save_use(session: WriteSession, grant: Grant) -> None:
    """What is used of a grant and what expired."""
    table = wallet_credits.c
    statement = update(wallet_credits).where(table.tenant_id == session.tenant_id, table.id == grant.grant_id)
    await session.execute(
        statement.values(used_nanos=grant.used_nanos, expired_nanos=grant.expired_nanos, expired_at=grant.expired_at)
    )


async def tenants_due(session: SystemSession, now: datetime, asked_before: datetime) -> Sequence[UUID]:
    """Tenants with a grant whose time is over, or with a wallet that may have to be topped up: no charge is under way,
    or it was asked for before an instant."""
    table, setting = wallet_credits.c, wallet_top_ups.c
    due = select(table.tenant_id).where(table.expires_at <= now, table.expired_at.is_(None))
    idle = or_(setting.requested.is_(None), setting.requested_at < asked_before)
    topped_up = select(setting.tenant_id).where(idle, ~setting.paused)
    return [row["tenant_id"] for row in await session.all(due.union(topped_up).order_by("tenant_id"))]


async def top_up(session: ReadSession, *, lock: bool = False) -> TopUp | None:
    statement = select(wallet_top_ups).where(wallet_top_ups.c.tenant_id == session.tenant_id)
    row = await session.first(statement.with_for_update() if lock else statement)
    if row is None:
        return None
    return TopUp(**{name: row[name] for name in TopUp.__dataclass_fields__})


async def save_top_up(session: WriteSession, setting: TopUp) -> None:
    row = {
        "threshold_nanos": setting.threshold_nanos,
        "amount_nanos": setting.amount_nanos,
        "requested": setting.requested,
        "requested_at": setting.requested_at,
        "paused": setting.paused,
    }
    statement = insert(wallet_top_ups).values(tenant_id=session.tenant_id, **row)
    await session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=row))


async def delete_top_up(session: WriteSession) -> bool:
    statement = delete(wallet_top_ups).where(wallet_top_ups.c.tenant_id == session.tenant_id)
    return (await session.execute(statement)).rowcount == 1


def _from_row(row: RowMapping) -> Grant:
    return Grant(
        row["id"],
        row["amount_nanos"],
        row["reason"],
        row["source"],
        row["priority"],
        row["created_at"],
        row["expires_at"],
        row["reference"],
        row["used_nanos"],
        row["expired_nanos"],
        row["expired_at"],
    )
