"""`/api/auth`: verification, login, logout, password."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.domains.identity import rules, service
from omni.domains.identity.contracts import CurrentUser
from omni.domains.identity.facade import check_password
from omni.domains.identity.guard import UserGuard
from omni.domains.identity.schemas import (
    AcceptedOut,
    ChangePasswordIn,
    LoginIn,
    LoginOut,
    ResendVerificationIn,
    UserOut,
    VerifyEmailIn,
)
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database, SharedSession
from omni.foundation.http.bearer import BEARER_TOKEN
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class IdentityDeps:
    """What the routes work with."""

    database: Database
    unit_of_work: UnitOfWork
    passwords: Passwords
    master_key: MasterKey
    clock: Clock


def router(deps: IdentityDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api/auth", tags=["authentication"])
    _verification_routes(routes, deps)
    _session_routes(routes, deps)
    _password_routes(routes, deps)
    return routes


def _verification_routes(routes: APIRouter, deps: IdentityDeps) -> None:
    secret = service.verification_secret(deps.master_key)

    @routes.post("/verify-email", status_code=204)
    async def verify_email(request: Request, body: VerifyEmailIn) -> Response:
        """Confirms an e-mail address with the token that was mailed to it."""

        async def action(session: SharedSession) -> None:
            await service.verify_email(session, secret, body.token, deps.clock.now())

        return await deps.unit_of_work.run(request, deps.database.shared(), action)

    @routes.post("/resend-verification", status_code=202, response_model=AcceptedOut)
    async def resend_verification(request: Request, body: ResendVerificationIn) -> Response:
        """Mails another token. Answers the same whether or not the address is known."""

        async def action(session: SharedSession) -> AcceptedOut:
            await service.resend_verification(session, body.email, deps.clock.now())
            return AcceptedOut()

        return await deps.unit_of_work.run(request, deps.database.shared(), action, status=202)


def _session_routes(routes: APIRouter, deps: IdentityDeps) -> None:
    guard = UserGuard(deps.database, deps.clock)

    @routes.post("/login", response_model=LoginOut)
    async def login(request: Request, body: LoginIn) -> Response:
        """Opens a session. Five failures lock the address for 15 minutes, more for longer."""
        found = await check_password(deps.database, deps.passwords, body.email, body.password, deps.clock.now())
        service.require_verified(found.user)
        outdated = deps.passwords.is_outdated(found.password_hash)
        new_hash = await deps.passwords.hash(body.password) if outdated else None

        async def action(session: SharedSession) -> LoginOut:
            if new_hash is not None:
                await service.upgrade_hash(session, found, new_hash)
            agent = request.headers.get("user-agent", "")
            opened = await service.open_session(session, found.user.user_id, agent, deps.clock.now())
            user = UserOut(id=found.user.user_id, email=found.user.email, is_operator=found.user.is_operator)
            return LoginOut(session_token=opened.token, expires_at=opened.expires_at, user=user)

        return await deps.unit_of_work.run(request, deps.database.shared(), action)

    @routes.post("/logout", status_code=204, dependencies=[Depends(guard.current_user)])
    async def logout(request: Request, token: str = Depends(BEARER_TOKEN)) -> Response:
        """Ends the session."""

        async def action(session: SharedSession) -> None:
            await service.close_session(session, token, deps.clock.now())

        return await deps.unit_of_work.run(request, deps.database.shared(), action)


def _password_routes(routes: APIRouter, deps: IdentityDeps) -> None:
    guard = UserGuard(deps.database, deps.clock)

    @routes.post("/change-password", status_code=204)
    async def change_password(
        request: Request,
        body: ChangePasswordIn,
        token: str = Depends(BEARER_TOKEN),
        user: CurrentUser = Depends(guard.current_user),
    ) -> Response:
        """Sets a new password and ends all other sessions. Failures count as failed logins."""
        rules.check_password(body.new_password, user.email)
        await check_password(deps.database, deps.passwords, user.email, body.current_password, deps.clock.now())
        password_hash = await deps.passwords.hash(body.new_password)

        async def action(session: SharedSession) -> None:
            await service.change_password(session, user.user_id, password_hash, token, deps.clock.now())

        return await deps.unit_of_work.run(request, deps.database.shared(), action)
