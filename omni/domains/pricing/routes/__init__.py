"""Routes of the price book, a file per area."""

from __future__ import annotations

from fastapi import APIRouter

from omni.domains.pricing.routes import calculator, coupons, plan_versions, prices, products
from omni.domains.pricing.routes.deps import PricingDeps

__all__ = ["PricingDeps", "router"]


def router(deps: PricingDeps) -> APIRouter:
    """All routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["prices"])
    for area in (prices, products, plan_versions, coupons, calculator):
        area.add_routes(routes, deps)
    return routes
