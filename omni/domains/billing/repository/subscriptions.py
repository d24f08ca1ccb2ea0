"""Subscriptions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.billing.contracts import Subscription
from omni.domains.billing.tables import billing_profiles, subscriptions
from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession

_WITHOUT = text("""
    select t.tenant_id from tenants t
    where not exists (select 1 from subscriptions s where s.tenant_id = t.tenant_id)
      and not exists (select 1 from billing_profiles p where p.tenant_id = t.tenant_id and p.test_clock is not null)
    order by t.tenant_id
""")


async def insert_subscription(session: WriteSession, subscription: Subscription) -> bool:
    """False when the tenant has one that runs."""
    row = asdict(subscription)
    row["id"] = row.pop("subscription_id")
    statement = insert(subscriptions).values(tenant_id=session.tenant_id, **row)
    return (await session.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def current(session: ReadSession, *, lock: bool = False) -> Subscription | None:
    """The one that is not cancelled; locked, it stays as it is until this transaction ends."""
    table = subscriptions.c
    statement = select(subscriptions).where(table.tenant_id == session.tenant_id, table.status != "cancelled")
    row = await session.first(statement.with_for_update() if lock else statement)
    return None if row is None else _from_row(row)


async def list_all(session: ReadSession) -> list[Subscription]:
    """Oldest first, also those that have ended."""
    table = subscriptions.c
    statement = select(subscriptions).where(table.tenant_id == session.tenant_id).order_by(table.created_at, table.id)
    return [_from_row(row) for row in await session.all(statement)]


async def save(session: WriteSession, subscription: Subscription) -> None:
    row = asdict(subscription)
    subscription_id = row.pop("subscription_id")
    table = subscriptions.c
    statement = update(subscriptions).where(table.tenant_id == session.tenant_id, table.id == subscription_id)
    await session.execute(statement.values(**row))


async def due_tenants(session: SystemSession, now: datetime) -> list[UUID]:
    """Tenants in real time whose billing period is over."""
    table, profile = subscriptions.c, billing_profiles.c
    in_sandbox = exists().where(profile.tenant_id == table.tenant_id, profile.test_clock.is_not(None))
    statement = select(table.tenant_id).where(
        table.status.in_(("trialing", "active", "past_due")), table.period_end <= now, ~in_sandbox
    )
    return [row["tenant_id"] for row in await session.all(statement.order_by(table.tenant_id))]


async def tenants_without(session: SystemSession) -> list[UUID]:
    """Tenants in real time that never had a subscription."""
    return [row["tenant_id"] for row in await session.all(_WITHOUT)]


def _from_row(row: RowMapping) -> Subscription:
    values = {name: value for name, value in row.items() if name not in ("tenant_id", "id", "created_at")}
    return Subscription(subscription_id=row["id"], **values)
