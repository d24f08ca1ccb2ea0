"""The API of billing."""

from __future__ import annotations

from fastapi import APIRouter

from omni.domains.billing.routes import coupons, invoices, parties, previews, subscriptions
from omni.domains.billing.routes.deps import BillingDeps

__all__ = ["BillingDeps", "router"]


def router(deps: BillingDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter()
    for part in (previews, invoices, parties, subscriptions, coupons):
        routes.routes.extend(part.router(deps).routes)
    return routes
