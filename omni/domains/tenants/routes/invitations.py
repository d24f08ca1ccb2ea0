"""Invitations."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.identity.contracts import CurrentUser
from omni.domains.tenants.contracts import TenantAccess
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.domains.tenants.routes.views import to_api_invitation, to_api_membership
from omni.domains.tenants.schemas import (
    AcceptInvitationIn,
    InvitationIn,
    InvitationOut,
    InvitationsOut,
    MembershipOut,
)
from omni.domains.tenants.service import invitations
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import WriteSession


def add_routes(routes: APIRouter, deps: TenantsDeps) -> None:
    """`/api/tenants/{tenant_id}/invitations`, `POST /api/invitations/accept`."""
    manages = deps.guard(Permission.MEMBERS_MANAGE)
    secret = invitations.invitation_secret(deps.master_key)

    @routes.get("/tenants/{tenant_id}/invitations", response_model=InvitationsOut)
    async def list_invitations(access: TenantAccess = Depends(manages)) -> InvitationsOut:
        """Open invitations, oldest first."""
        async with deps.database.read(access.tenant_id) as session:
            found = await invitations.list_invitations(session, deps.clock.now())
        return InvitationsOut(data=[to_api_invitation(invitation) for invitation in found])

    @routes.post("/tenants/{tenant_id}/invitations", status_code=201, response_model=InvitationOut)
    async def invite(request: Request, body: InvitationIn, access: TenantAccess = Depends(manages)) -> Response:
        """Mails an invitation; an open one to the same address is replaced."""

        async def action(session: WriteSession) -> InvitationOut:
            made = await invitations.invite(session, access, body.email, body.role, deps.clock.now())
            return to_api_invitation(made)

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action, status=201)

    @routes.delete("/tenants/{tenant_id}/invitations/{invitation_id}", status_code=204)
    async def revoke(request: Request, invitation_id: UUID, access: TenantAccess = Depends(manages)) -> Response:
        """Takes an invitation back."""

        async def action(session: WriteSession) -> None:
            await invitations.revoke(session, invitation_id, deps.clock.now())

        return await deps.unit_of_work.run(request, deps.database.write(access.tenant_id), action)

    @routes.post("/invitations/accept", response_model=MembershipOut)
    async def accept(
        request: Request, body: AcceptInvitationIn, user: CurrentUser = Depends(deps.current_user)
    ) -> Response:
        """Joins the tenant that sent the token to your address."""
        tenant_id, invitation_id = invitations.read_invitation_token(secret, body.token)

        async def action(session: WriteSession) -> MembershipOut:
            return to_api_membership(await invitations.accept(session, user, invitation_id, deps.clock.now()))

        return await deps.unit_of_work.run(request, deps.database.write(tenant_id), action)
