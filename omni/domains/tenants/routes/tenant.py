"""The tenant itself."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.tenants.contracts import TenantAccess
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.domains.tenants.routes.views import to_api_tenant
from omni.domains.tenants.schemas import PlanChoiceIn, TenantOut, TenantPatch
from omni.domains.tenants.service import tenants
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import WriteSession


def add_routes(routes: APIRouter, deps: TenantsDeps) -> None:
    """`GET` and `PATCH /api/tenants/{tenant_id}`, `PUT …/plan`."""
    reads, manages, pays = map(
        deps.guard, (Permission.TENANT_READ, Permission.TENANT_MANAGE, Permission.BILLING_MANAGE)
    )

    @routes.get("/tenants/{tenant_id}", response_model=TenantOut)
    async def get_tenant(access: TenantAccess = Depends(reads)) -> TenantOut:
        """Name, plan and status."""
        async with deps.database.read(access.tenant_id) as session:
            return to_api_tenant(await tenants.get_tenant(session))

    @routes.patch("/tenants/{tenant_id}", response_model=TenantOut)
    async def rename_tenant(request: Request, body: TenantPatch, access: TenantAccess = Depends(manages)) -> Response:
        """Changes the name."""

        async def action(session: WriteSession) -> TenantOut:
            return to_api_tenant(await tenants.rename(session, body.name))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.put("/tenants/{tenant_id}/plan", response_model=TenantOut)
    async def change_plan(request: Request, body: PlanChoiceIn, access: TenantAccess = Depends(pays)) -> Response:
        """Chooses a plan that costs nothing; the new limits hold within a second. One that has a price is chosen
        with a subscription: `POST …/subscriptions`, `POST …/subscription/change`."""

        async def action(session: WriteSession) -> TenantOut:
            return to_api_tenant(await deps.choose_plan(session, body.plan_code, deps.clock.now()))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)
