"""Projects."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.tenants.contracts import TenantAccess
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.domains.tenants.routes.views import to_api_project
from omni.domains.tenants.schemas import ProjectIn, ProjectOut, ProjectsOut
from omni.domains.tenants.service import projects
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import WriteSession


def add_routes(routes: APIRouter, deps: TenantsDeps) -> None:
    """`/api/tenants/{tenant_id}/projects`."""
    reads, manages = deps.guard(Permission.TENANT_READ), deps.guard(Permission.PROJECTS_MANAGE)

    @routes.get("/tenants/{tenant_id}/projects", response_model=ProjectsOut)
    async def list_projects(access: TenantAccess = Depends(reads)) -> ProjectsOut:
        """All projects, oldest first."""
        async with deps.database.read(access.tenant_id) as session:
            return ProjectsOut(data=[to_api_project(project) for project in await projects.list_projects(session)])

    @routes.post("/tenants/{tenant_id}/projects", status_code=201, response_model=ProjectOut)
    async def add_project(request: Request, body: ProjectIn, access: TenantAccess = Depends(manages)) -> Response:
        """Adds a project."""

        async def action(session: WriteSession) -> ProjectOut:
            return to_api_project(await projects.add_project(session, body.name, deps.clock.now()))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action, status=201)

    @routes.patch("/tenants/{tenant_id}/projects/{project_id}", response_model=ProjectOut)
    async def rename_project(
        request: Request, project_id: UUID, body: ProjectIn, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Changes the name."""

        async def action(session: WriteSession) -> ProjectOut:
            return to_api_project(await projects.rename_project(session, project_id, body.name))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.delete("/tenants/{tenant_id}/projects/{project_id}", status_code=204)
    async def delete_project(request: Request, project_id: UUID, access: TenantAccess = Depends(manages)) -> Response:
        """Removes a project that has no active keys and is not the last one."""

        async def action(session: WriteSession) -> None:
            await projects.delete_project(session, project_id)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)
