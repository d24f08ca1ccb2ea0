"""Members."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.tenants.contracts import TenantAccess
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.domains.tenants.routes.views import to_api_member
from omni.domains.tenants.schemas import MemberOut, MemberPatch, MembersOut
from omni.domains.tenants.service import members
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import WriteSession


def add_routes(routes: APIRouter, deps: TenantsDeps) -> None:
    """`/api/tenants/{tenant_id}/members`, `POST …/leave`."""
    reads, manages = deps.guard(Permission.TENANT_READ), deps.guard(Permission.MEMBERS_MANAGE)

    @routes.get("/tenants/{tenant_id}/members", response_model=MembersOut)
    async def list_members(access: TenantAccess = Depends(reads)) -> MembersOut:
        """All members, oldest first."""
        async with deps.database.read(access.tenant_id) as session:
            found = await members.list_members(session)
        return MembersOut(data=[to_api_member(member, email) for member, email in found])

    @routes.patch("/tenants/{tenant_id}/members/{user_id}", response_model=MemberOut)
    async def change_role(
        request: Request, user_id: UUID, body: MemberPatch, access: TenantAccess = Depends(manages)
    ) -> Response:
        """Changes a member's role. The last owner stays one."""

        async def action(session: WriteSession) -> MemberOut:
            return to_api_member(*await members.change_role(session, access, user_id, body.role))

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.delete("/tenants/{tenant_id}/members/{user_id}", status_code=204)
    async def remove_member(request: Request, user_id: UUID, access: TenantAccess = Depends(manages)) -> Response:
        """Removes a member. The last owner stays."""

        async def action(session: WriteSession) -> None:
            await members.remove_member(session, access, user_id)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.post("/tenants/{tenant_id}/leave", status_code=204)
    async def leave(request: Request, access: TenantAccess = Depends(reads)) -> Response:
        """Ends your own membership. The last owner stays."""

        async def action(session: WriteSession) -> None:
            await members.remove_member(session, access, access.user_id)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)
