"""Who sent a request: dependencies for routes."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Depends

from omni.domains.identity import facade
from omni.domains.identity.contracts import CurrentUser
from omni.foundation.db.sessions import Database
from omni.foundation.http.bearer import BEARER_TOKEN
from omni.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class UserGuard:
    """Its methods are FastAPI dependencies."""

    database: Database
    clock: Clock

    async def current_user(self, token: str = Depends(BEARER_TOKEN)) -> CurrentUser:
        """Raises Unauthenticated `not_authenticated`."""
        async with self.database.shared() as session:
            return await facade.authenticate(session, token, self.clock.now())

    async def operator(self, token: str = Depends(BEARER_TOKEN)) -> CurrentUser:
        """Raises Unauthenticated `not_authenticated`, Forbidden `operator_required`."""
        user = await self.current_user(token)
        facade.require_operator(user)
        return user
