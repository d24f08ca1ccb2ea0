"""Sign-up and who am I."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.identity import facade as identity
from omni.domains.identity.contracts import CurrentUser
from omni.domains.tenants import facade
from omni.domains.tenants.contracts import NewSignUp
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.domains.tenants.routes.views import to_api_membership
from omni.domains.tenants.schemas import MeOut, SignUpIn, SignUpOut
from omni.foundation.db.sessions import SharedSession


def add_routes(routes: APIRouter, deps: TenantsDeps) -> None:
    """`POST /api/signup`, `GET /api/me`."""

    @routes.post("/signup", status_code=201, response_model=SignUpOut)
    async def sign_up(request: Request, body: SignUpIn) -> Response:
        """Registers a user with a tenant on the Free plan and a project, and mails a verification token."""
        identity.check_new_password(body.password, body.email)
        password_hash = await deps.passwords.hash(body.password)

        async def action(session: SharedSession) -> SignUpOut:
            new = NewSignUp(body.email, password_hash, body.tenant_name)
            made = await facade.sign_up(session, new, deps.clock.now())
            return SignUpOut(user_id=made.user_id, tenant_id=made.tenant_id, project_id=made.project_id)

        return await deps.unit_of_work.run(request, deps.database.shared(), action, status=201)

    @routes.get("/me", response_model=MeOut)
    async def me(user: CurrentUser = Depends(deps.current_user)) -> MeOut:
        """The user of the session and their tenants."""
        memberships = await facade.memberships(deps.system_database, user.user_id)
        return MeOut(
            id=user.user_id,
            email=user.email,
            is_operator=user.is_operator,
            memberships=[to_api_membership(membership) for membership in memberships],
        )
