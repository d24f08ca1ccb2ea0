"""`/api/tenants/{tenant_id}/coupons`."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.billing.routes.deps import BillingDeps, now_of
from omni.domains.billing.schemas import RedeemIn, RedemptionOut, RedemptionsOut
from omni.domains.billing.service import redeeming
from omni.domains.billing.service.redeeming import Redeemed
from omni.domains.pricing import facade as pricing
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import WriteSession


def router(deps: BillingDeps) -> APIRouter:
    """The coupons of a tenant."""
    routes = APIRouter(prefix="/api/tenants/{tenant_id}/coupons", tags=["coupons"])
    reads, manages = deps.access(Permission.BILLING_READ), deps.access(Permission.BILLING_MANAGE)

    @routes.get("", response_model=RedemptionsOut)
    async def list_redeemed(access: TenantAccess = Depends(reads)) -> RedemptionsOut:
        """Every coupon that the tenant has redeemed."""
        async with deps.database.read(access.tenant_id) as session:
            found = await redeeming.redeemed(session)
        return RedemptionsOut(data=[_to_api(each) for each in found])

    @routes.post("", status_code=201, response_model=RedemptionOut)
    async def redeem(request: Request, body: RedeemIn, access: TenantAccess = Depends(manages)) -> Response:
        """Redeems a coupon, once. It holds from the next invoice on that becomes final."""

        async def action(session: WriteSession) -> RedemptionOut:
            now = await now_of(session, deps.clock)
            return _to_api(await redeeming.redeem(session, body.code.strip().upper(), now))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action, status=201)

    return routes


def _to_api(redeemed: Redeemed) -> RedemptionOut:
    redemption, coupon = redeemed
    return RedemptionOut(
        coupon=coupon,
        redeemed_at=redemption.redeemed_at,
        periods=redemption.periods,
        holds=pricing.holds_in_period(coupon, redemption.periods + 1),
    )
