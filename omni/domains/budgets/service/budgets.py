"""Budgets: set, published to the gateways together with the wallet, watched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

from redis.asyncio import Redis

from omni.contracts import redis_names
from omni.contracts.money import Budget, MoneySnapshot
from omni.domains.budgets import rules
from omni.domains.budgets.contracts import StoredBudget
from omni.domains.budgets.repository import budgets as repository
from omni.domains.budgets.repository import wallets
from omni.domains.metering import facade as metering
from omni.foundation.db.sessions import Database, ReadSession, SystemSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, NotFound

PUBLISH_MONEY = "budgets.publish_money"
SEND_ALERT = "budgets.send_alert"

OpenSystemSession = Callable[[], AbstractAsyncContextManager[SystemSession]]


async def list_budgets(session: ReadSession, now: datetime) -> list[tuple[StoredBudget, int]]:
    """Every budget, with the nano-units spent in its present period."""
    return [(budget, await spent(session, budget, now)) for budget in await repository.all_budgets(session)]


async def spent(session: ReadSession, budget: StoredBudget, now: datetime) -> int:
    """Nano-units spent in the present period of a budget."""
    return await metering.spent(session, budget.scope, budget.scope_id, rules.period_start(budget.period, now))


async def add_budget(session: WriteSession, budget: StoredBudget) -> StoredBudget:
    """Raises NotFound `budget_scope_not_found`, Conflict `budget_exists`."""
    if not await repository.scope_exists(session, budget.scope, budget.scope_id):
        raise NotFound("budget_scope_not_found", f"There is no such {budget.scope} in this tenant.")
    if not await repository.insert_budget(session, budget):
        raise Conflict("budget_exists", "It has a budget of this period and kind already: change that one.")
    await enqueue(session, PUBLISH_MONEY, tenant_id=session.tenant_id)
    return budget


async def edit_budget(
    session: WriteSession, budget_id: UUID, limit_nanos: int | None, alerts: tuple[int, ...] | None
) -> StoredBudget:
    """Changes what is given. Raises NotFound `budget_not_found`."""
    values: dict[str, object] = {}
    if limit_nanos is not None:
        values["limit_nanos"] = limit_nanos
    if alerts is not None:
        values["alerts"] = list(alerts)
    if not values:
        found = [each for each in await repository.all_budgets(session) if each.budget_id == budget_id]
        return _found(found[0] if found else None)
    budget = _found(await repository.update_budget(session, budget_id, **values))
    await enqueue(session, PUBLISH_MONEY, tenant_id=session.tenant_id)
    return budget


async def delete_budget(session: WriteSession, budget_id: UUID) -> None:
    """Raises NotFound `budget_not_found`."""
    if not await repository.delete_budget(session, budget_id):
        _found(None)
    await enqueue(session, PUBLISH_MONEY, tenant_id=session.tenant_id)


async def publish_money(session: ReadSession, redis: Redis) -> None:
    """Writes the tenant's budgets and credit to Redis and tells the gateways."""
    budgets = tuple(
        Budget(each.scope, each.scope_id, each.period, each.limit_nanos, each.hard)
        for each in await repository.all_budgets(session)
    )
    snapshot = MoneySnapshot(session.tenant_id, budgets, await wallets.credit(session))
    await redis.set(redis_names.money_snapshot(session.tenant_id), snapshot.to_json())
    await redis.publish(redis_names.INVALIDATE_CHANNEL, f"money {session.tenant_id}")


async def publish_all(database: Database, open_session: OpenSystemSession, redis: Redis) -> None:
    """Writes the money of every tenant that has any."""
    async with open_session() as session:
        tenants = await repository.tenants_with_money(session)
    for tenant_id in tenants:
        async with database.read(tenant_id) as inside:
            await publish_money(inside, redis)


async def find_alerts(database: Database, open_session: OpenSystemSession, now: datetime) -> int:
    """Enqueues an alert for each threshold that spending has newly come to; returns how many."""
    async with open_session() as session:
        tenants = await repository.tenants_with_alerts(session)
    found = 0
    for tenant_id in tenants:
        async with database.write(tenant_id) as inside:
            for budget in await repository.all_budgets(inside):
                found += await _enqueue_alerts(inside, budget, now)
    return found


async def _enqueue_alerts(session: WriteSession, budget: StoredBudget, now: datetime) -> int:
    period = rules.period_name(budget.period, now)
    reached = rules.reached(await spent(session, budget, now), budget.limit_nanos, budget.alerts)
    new = [percent for percent in reached if await repository.first_alert(session, budget.budget_id, period, percent)]
    if new:  # one mail tells of the highest
        await enqueue(
            session,
            SEND_ALERT,
            tenant_id=session.tenant_id,
            budget_id=budget.budget_id,
            percent=max(new),
            period=period,
        )
    return len(new)


def _found(budget: StoredBudget | None) -> StoredBudget:
    if budget is None:
        raise NotFound("budget_not_found", "There is no such budget in this tenant.")
    return budget
