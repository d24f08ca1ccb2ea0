"""`/api/tenants/{tenant_id}/budgets`, `…/wallet…`, `/api/operator/tenants/{tenant_id}/credits`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.budgets.contracts import Grant, NewGrant, StoredBudget, TopUp, Wallet
from omni.domains.budgets.schemas import (
    BudgetIn,
    BudgetOut,
    BudgetPatch,
    BudgetsOut,
    CreditIn,
    GrantOut,
    GrantsOut,
    TopUpIn,
    TopUpOut,
    WalletOut,
)
from omni.domains.budgets.service import budgets as service
from omni.domains.budgets.service import top_ups, wallets
from omni.domains.identity.contracts import CurrentUser
from omni.domains.tenants import facade as tenants
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database, WriteSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock
from omni.kit.ids import uuid7

Guard = Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]


@dataclass(frozen=True, slots=True)
class BudgetsDeps:
    """What the routes work with. `operator` lets only operators pass; `guard` makes the dependency for a permission."""

    database: Database
    unit_of_work: UnitOfWork
    operator: Callable[..., Awaitable[CurrentUser]]
    guard: Guard
    clock: Clock


def router(deps: BudgetsDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["budgets"])
    _budget_routes(routes, deps)
    _wallet_routes(routes, deps)
    _top_up_routes(routes, deps)
    return routes


def _budget_routes(routes: APIRouter, deps: BudgetsDeps) -> None:
    reads, manages = deps.guard(Permission.BILLING_READ), deps.guard(Permission.BILLING_MANAGE)

    @routes.get("/tenants/{tenant_id}/budgets", response_model=BudgetsOut)
    async def list_budgets(access: TenantAccess = Depends(reads)) -> BudgetsOut:
        """Every budget, with what is spent of it."""
        async with deps.database.read(access.tenant_id) as session:
            found = await service.list_budgets(session, deps.clock.now())
        return BudgetsOut(data=[_to_api_budget(budget, spent) for budget, spent in found])

    @routes.post("/tenants/{tenant_id}/budgets", status_code=201, response_model=BudgetOut)
    async def add_budget(request: Request, body: BudgetIn, access: TenantAccess = Depends(manages)) -> Response:
        """Sets a ceiling; gateways follow within a second."""
        members = body.model_dump(exclude={"alerts"})
        alerts = tuple(sorted(set(body.alerts)))
        now = deps.clock.now()
        new = StoredBudget(budget_id=uuid7(), alerts=alerts, created_at=now, **members)

        async def action(session: WriteSession) -> BudgetOut:
            budget = await service.add_budget(session, new)
            return _to_api_budget(budget, await service.spent(session, budget, now))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action, status=201)

    @routes.patch("/tenants/{tenant_id}/budgets/{budget_id}", response_model=BudgetOut)
    async def edit_budget(
        request: Request, budget_id: UUID, body: BudgetPatch, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Changes the ceiling or the alerts."""
        alerts = None if body.alerts is None else tuple(sorted(set(body.alerts)))

        async def action(session: WriteSession) -> BudgetOut:
            budget = await service.edit_budget(session, budget_id, body.limit_nanos, alerts)
            return _to_api_budget(budget, await service.spent(session, budget, deps.clock.now()))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.delete("/tenants/{tenant_id}/budgets/{budget_id}", status_code=204)
    async def delete_budget(request: Request, budget_id: UUID, access: TenantAccess = Depends(manages)) -> Response:
        """Lifts a ceiling."""

        async def action(session: WriteSession) -> None:
            await service.delete_budget(session, budget_id)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)


def _wallet_routes(routes: APIRouter, deps: BudgetsDeps) -> None:
    reads = deps.guard(Permission.BILLING_READ)

    @routes.get("/tenants/{tenant_id}/wallet", response_model=WalletOut)
    async def get_wallet(access: TenantAccess = Depends(reads)) -> WalletOut:
        """The credit of a tenant that pays in advance."""
        async with deps.database.read(access.tenant_id) as session:
            return _to_api_wallet(await wallets.wallet(session))

    @routes.get("/tenants/{tenant_id}/wallet/grants", response_model=GrantsOut)
    async def list_grants(access: TenantAccess = Depends(reads)) -> GrantsOut:
        """What the credit is made of, and what is used of each."""
        async with deps.database.read(access.tenant_id) as session:
            found = await wallets.list_grants(session, deps.clock.now())
        return GrantsOut(data=[_to_api_grant(grant) for grant in found])

    @routes.post("/operator/tenants/{tenant_id}/credits", status_code=201, response_model=WalletOut)
    async def add_credit(
        request: Request, tenant_id: UUID, body: CreditIn, operator: CurrentUser = Depends(deps.operator)
    ) -> Response:
        """Grants credit. From the first one on the tenant pays in advance."""

        async def action(session: WriteSession) -> WalletOut:
            await tenants.get_tenant(session)
            new = NewGrant(created_by=operator.user_id, **body.model_dump())
            return _to_api_wallet(await wallets.add_grant(session, new, deps.clock.now()))

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action, status=201)


def _top_up_routes(routes: APIRouter, deps: BudgetsDeps) -> None:
    path = "/tenants/{tenant_id}/wallet/top-up"
    reads, manages = deps.guard(Permission.BILLING_READ), deps.guard(Permission.BILLING_MANAGE)

    @routes.get(path, response_model=TopUpOut)
    async def get_top_up(access: TenantAccess = Depends(reads)) -> TopUpOut:
        """How the wallet is topped up by itself."""
        async with deps.database.read(access.tenant_id) as session:
            return _to_api_top_up(await top_ups.find_top_up(session))

    @routes.put(path, response_model=TopUpOut)
    async def set_top_up(request: Request, body: TopUpIn, access: TenantAccess = Depends(manages)) -> Response:
        """Charges for credit whenever the wallet has less than a threshold."""

        async def action(session: WriteSession) -> TopUpOut:
            return _to_api_top_up(await top_ups.set_top_up(session, body.threshold_nanos, body.amount_nanos))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.delete(path, status_code=204)
    async def remove_top_up(request: Request, access: TenantAccess = Depends(manages)) -> Response:
        """Charges no more."""

        async def action(session: WriteSession) -> None:
            await top_ups.remove_top_up(session)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)


def _to_api_top_up(setting: TopUp) -> TopUpOut:
    return TopUpOut(
        threshold_nanos=setting.threshold_nanos,
        amount_nanos=setting.amount_nanos,
        requested=setting.requested,
        paused=setting.paused,
    )


def _to_api_grant(grant: Grant) -> GrantOut:
    members = asdict(grant)
    return GrantOut(id=members.pop("grant_id"), remaining_nanos=grant.remaining_nanos, **members)


def _to_api_budget(budget: StoredBudget, spent_nanos: int) -> BudgetOut:
    return BudgetOut(
        id=budget.budget_id,
        scope=budget.scope,
        scope_id=budget.scope_id,
        period=budget.period,
        limit_nanos=budget.limit_nanos,
        hard=budget.hard,
        alerts=list(budget.alerts),
        created_at=budget.created_at,
        spent_nanos=spent_nanos,
        remaining_nanos=max(0, budget.limit_nanos - spent_nanos),
    )


def _to_api_wallet(wallet: Wallet) -> WalletOut:
    credit = wallet.credit_nanos
    remaining = None if credit is None else max(0, credit - wallet.spent_nanos)
    return WalletOut(credit_nanos=credit, spent_nanos=wallet.spent_nanos, remaining_nanos=remaining)
