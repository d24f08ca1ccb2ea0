"""`/api/tenants/{tenant_id}/subscription…`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.billing.contracts import Subscription
from omni.domains.billing.repository import subscriptions as repository
from omni.domains.billing.routes.deps import BillingDeps, now_of
from omni.domains.billing.routes.shown import to_api_subscription
from omni.domains.billing.schemas import CancelIn, ChangePlanIn, SubscribeIn, SubscriptionOut, SubscriptionsOut
from omni.domains.billing.service import choosing, subscribing
from omni.domains.plans import facade as plans
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import WriteSession

_Action = Callable[[WriteSession, datetime], Awaitable[Subscription]]


def router(deps: BillingDeps) -> APIRouter:
    """The tenant's plan over time."""
    routes = APIRouter(prefix="/api/tenants/{tenant_id}", tags=["subscriptions"])
    _plan_routes(routes, deps)
    _pause_routes(routes, deps)
    return routes


async def _change(
    deps: BillingDeps, request: Request, access: TenantAccess, action: _Action, status: int = 200
) -> Response:
    async def run(session: WriteSession) -> SubscriptionOut:
        return to_api_subscription(await action(session, await now_of(session, deps.clock)))

    return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), run, status=status)


def _plan_routes(routes: APIRouter, deps: BillingDeps) -> None:
    reads, manages = deps.access(Permission.BILLING_READ), deps.access(Permission.BILLING_MANAGE)

    @routes.get("/subscriptions", response_model=SubscriptionsOut)
    async def list_subscriptions(access: TenantAccess = Depends(reads)) -> SubscriptionsOut:
        """Every subscription that the tenant has had."""
        async with deps.database.read(access.tenant_id) as session:
            found = await repository.list_all(session)
        return SubscriptionsOut(data=[to_api_subscription(each) for each in found])

    @routes.post("/subscriptions", status_code=201, response_model=SubscriptionOut)
    async def subscribe(request: Request, body: SubscribeIn, access: TenantAccess = Depends(manages)) -> Response:
        """Puts the tenant on a plan."""

        async def action(session: WriteSession, now: datetime) -> Subscription:
            return await choosing.subscribe(session, body.plan_code, now, body.seats, body.trial_days)

        return await _change(deps, request, access, action, status=201)

    @routes.post("/subscription/change", response_model=SubscriptionOut)
    async def change_plan(request: Request, body: ChangePlanIn, access: TenantAccess = Depends(manages)) -> Response:
        """Another plan or number of seats: at once with proration to the second, or from the next period on."""

        async def action(session: WriteSession, now: datetime) -> Subscription:
            await plans.require_plan(session, body.plan_code, public_only=True)
            if body.when == "period_end":
                return await subscribing.change_plan_at_period_end(session, body.plan_code)
            return (await subscribing.change_plan(session, body.plan_code, body.seats, now))[0]

        return await _change(deps, request, access, action)


def _pause_routes(routes: APIRouter, deps: BillingDeps) -> None:
    manages = deps.access(Permission.BILLING_MANAGE)

    @routes.post("/subscription/cancel", response_model=SubscriptionOut)
    async def cancel(request: Request, body: CancelIn, access: TenantAccess = Depends(manages)) -> Response:
        """Ends it with its period, or at once with what is left of the fees back."""

        async def action(session: WriteSession, now: datetime) -> Subscription:
            return (await subscribing.cancel(session, now, at_once=body.when == "now"))[0]

        return await _change(deps, request, access, action)

    @routes.post("/subscription/pause", response_model=SubscriptionOut)
    async def pause(request: Request, access: TenantAccess = Depends(manages)) -> Response:
        """Stops use and billing."""

        async def action(session: WriteSession, now: datetime) -> Subscription:
            return (await subscribing.pause(session, now))[0]

        return await _change(deps, request, access, action)

    @routes.post("/subscription/resume", response_model=SubscriptionOut)
    async def resume(request: Request, access: TenantAccess = Depends(manages)) -> Response:
        """Use and billing go on."""

        async def action(session: WriteSession, now: datetime) -> Subscription:
            return (await subscribing.resume(session, now))[0]

        return await _change(deps, request, access, action)
