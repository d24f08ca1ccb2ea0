"""What only operators may do to a tenant."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.tenants.contracts import TenantStatus
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.domains.tenants.routes.views import to_api_tenant
from omni.domains.tenants.schemas import PlanChoiceIn, TenantOut
from omni.domains.tenants.service import tenants
from omni.foundation.db.sessions import WriteSession


def add_routes(routes: APIRouter, deps: TenantsDeps) -> None:
    """`/api/operator/tenants/{tenant_id}`: suspend, resume, plan."""
    only_operators = [Depends(deps.operator)]

    async def set_status(request: Request, tenant_id: UUID, status: TenantStatus) -> Response:
        async def action(session: WriteSession) -> TenantOut:
            return to_api_tenant(await tenants.set_status(session, status))

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action)

    @routes.post("/operator/tenants/{tenant_id}/suspend", response_model=TenantOut, dependencies=only_operators)
    async def suspend(request: Request, tenant_id: UUID) -> Response:
        """Refuses every API request of the tenant from within a second on."""
        return await set_status(request, tenant_id, "suspended")

    @routes.post("/operator/tenants/{tenant_id}/resume", response_model=TenantOut, dependencies=only_operators)
    async def resume(request: Request, tenant_id: UUID) -> Response:
        """Takes the tenant's API requests again."""
        return await set_status(request, tenant_id, "active")

    @routes.put("/operator/tenants/{tenant_id}/plan", response_model=TenantOut, dependencies=only_operators)
    async def change_plan(request: Request, tenant_id: UUID, body: PlanChoiceIn) -> Response:
        """Puts the tenant on any plan, also one that tenants cannot choose."""

        async def action(session: WriteSession) -> TenantOut:
            return to_api_tenant(await tenants.change_plan(session, body.plan_code))

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action)
