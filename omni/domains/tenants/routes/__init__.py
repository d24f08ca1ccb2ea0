"""Routes of the tenants domain, a file per area."""

from __future__ import annotations

from fastapi import APIRouter

from omni.domains.tenants.routes import gateway_settings, invitations, members, operator, projects, sign_up, tenant
from omni.domains.tenants.routes.deps import TenantsDeps


def router(deps: TenantsDeps) -> APIRouter:
    """All routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["tenants"])
    for area in (sign_up, tenant, projects, members, invitations, gateway_settings, operator):
        area.add_routes(routes, deps)
    return routes
