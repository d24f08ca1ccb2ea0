"""SQL of budgets and their alerts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from omni.contracts.money import Scope
from omni.domains.budgets.contracts import StoredBudget
from omni.domains.budgets.tables import budget_alerts, budgets, wallet_credits
from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession

_EXISTS = {
    "tenant": text("select tenant_id = :id from tenants where tenant_id = :tenant_id"),
    "project": text("select true from projects where tenant_id = :tenant_id and id = :id"),
    "key": text("select true from api_keys where tenant_id = :tenant_id and id = :id"),
}


async def scope_exists(session: ReadSession, scope: Scope, scope_id: UUID) -> bool:
    """Whether the session's tenant is, or has, what a budget is for."""
    return bool(await session.scalar(_EXISTS[scope], {"tenant_id": session.tenant_id, "id": scope_id}))


async def insert_budget(session: WriteSession, budget: StoredBudget) -> bool:
    """False when the scope has one of the same period and kind."""
    row = {
        "tenant_id": session.tenant_id,
        "id": budget.budget_id,
        "scope": budget.scope,
        "scope_id": budget.scope_id,
        "period": budget.period,
        "limit_nanos": budget.limit_nanos,
        "hard": budget.hard,
        "alerts": list(budget.alerts),
        "created_at": budget.created_at,
    }
    return (await session.execute(insert(budgets).values(row).on_conflict_do_nothing())).rowcount == 1


async def all_budgets(session: ReadSession) -> list[StoredBudget]:
    """Oldest first."""
    statement = select(budgets).where(budgets.c.tenant_id == session.tenant_id)
    return [_from_row(row) for row in await session.all(statement.order_by(budgets.c.created_at, budgets.c.id))]


async def update_budget(session: WriteSession, budget_id: UUID, **values: object) -> StoredBudget | None:
    """None when it is missing or another tenant's."""
    table = budgets.c
    statement = update(budgets).where(table.tenant_id == session.tenant_id, table.id == budget_id).values(**values)
    row = await session.first(statement.returning(budgets))
    return None if row is None else _from_row(row)


async def delete_budget(session: WriteSession, budget_id: UUID) -> bool:
    table = budgets.c
    statement = delete(budgets).where(table.tenant_id == session.tenant_id, table.id == budget_id)
    return (await session.execute(statement)).rowcount == 1


async def tenants_with_money(session: SystemSession) -> Sequence[UUID]:
    """Tenants that have a budget or a wallet."""
    statement = select(budgets.c.tenant_id).union(select(wallet_credits.c.tenant_id)).order_by("tenant_id")
    return [row["tenant_id"] for row in await session.all(statement)]


async def tenants_with_alerts(session: SystemSession) -> Sequence[UUID]:
    """Tenants that have a budget with a threshold."""
    statement = select(budgets.c.tenant_id).where(func.cardinality(budgets.c.alerts) > 0).distinct()
    return [row["tenant_id"] for row in await session.all(statement.order_by(budgets.c.tenant_id))]


async def first_alert(session: WriteSession, budget_id: UUID, period: str, percent: int) -> bool:
    """Whether this alert had not been sent; from now on it has."""
    row = {"tenant_id": session.tenant_id, "budget_id": budget_id, "period_start": period, "percent": percent}
    return (await session.execute(insert(budget_alerts).values(row).on_conflict_do_nothing())).rowcount == 1


def _from_row(row: RowMapping) -> StoredBudget:
    return StoredBudget(
        row["id"],
        row["scope"],
        row["scope_id"],
        row["period"],
        row["limit_nanos"],
        row["hard"],
        tuple(row["alerts"]),
        row["created_at"],
    )
