"""Who may do what in a tenant: dependencies for routes under `/api/tenants/{tenant_id}`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from fastapi import Depends

from omni.domains.tenants import facade
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database
from omni.foundation.http.bearer import BEARER_TOKEN
from omni.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class TenantGuard:
    """Makes a dependency for each permission."""

    database: Database
    clock: Clock

    def __call__(self, permission: Permission) -> Callable[..., Awaitable[TenantAccess]]:
        """A dependency that lets only members with the permission pass.

        Raises Unauthenticated `not_authenticated`, NotFound `tenant_not_found`, Forbidden `permission_missing`.
        """

        async def tenant_access(tenant_id: UUID, token: str = Depends(BEARER_TOKEN)) -> TenantAccess:
            return await facade.access(self.database, token, tenant_id, permission, self.clock.now())

        tenant_access.__dict__["permission"] = permission
        return tenant_access
