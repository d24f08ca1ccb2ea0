"""`/api/operator/coupons`."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.pricing.contracts import Coupon, StoredCoupon
from omni.domains.pricing.routes.bodies import CouponOut, CouponsOut
from omni.domains.pricing.routes.deps import PricingDeps
from omni.domains.pricing.service import coupons
from omni.foundation.db.sessions import SharedSession


def add_routes(routes: APIRouter, deps: PricingDeps) -> None:
    """Coupons."""

    @routes.get("/operator/coupons", response_model=CouponsOut, dependencies=[Depends(deps.operator)])
    async def list_coupons() -> CouponsOut:
        """Every coupon and how often it was redeemed."""
        async with deps.database.shared() as session:
            found = await coupons.list_coupons(session)
        return CouponsOut(data=[_to_api_coupon(coupon) for coupon in found])

    @routes.post("/operator/coupons", status_code=201, response_model=CouponOut, dependencies=[Depends(deps.operator)])
    async def add_coupon(request: Request, body: Coupon) -> Response:
        """Adds a coupon. It cannot be changed."""

        async def action(session: SharedSession) -> CouponOut:
            return _to_api_coupon(await coupons.add_coupon(session, body))

        return await deps.unit_of_work.run(request, deps.database.shared(), action, status=201)


def _to_api_coupon(stored: StoredCoupon) -> CouponOut:
    return CouponOut(coupon=stored.coupon, redemptions=stored.redemptions)
