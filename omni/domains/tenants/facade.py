"""What other domains and the applications may ask of tenants."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from redis.asyncio import Redis

from omni.contracts.snapshots import TenantSnapshot
from omni.domains.identity import facade as identity
from omni.domains.tenants import repository
from omni.domains.tenants.contracts import (
    Membership,
    NewSignUp,
    Project,
    SignedUp,
    Tenant,
    TenantAccess,
    TenantStatus,
)
from omni.domains.tenants.service import members, projects, snapshots, tenants
from omni.domains.tenants.service import sign_up as signing_up
from omni.foundation.authz import Permission, Role
from omni.foundation.db.sessions import Database, ReadSession, SharedSession, SystemSession, WriteSession

if TYPE_CHECKING:
    from omni.foundation.db.system_session import SystemDatabase


async def sign_up(session: SharedSession, new: NewSignUp, now: datetime) -> SignedUp:
    """Registers a user with a tenant. Raises Conflict `email_taken`, Unprocessable `unknown_plan`."""
    return await signing_up.sign_up(session, new, now)


async def open_tenant(session: SharedSession, owner_id: UUID, name: str, plan_code: str, now: datetime) -> SignedUp:
    """A tenant with project and owner for a user that exists. Raises Unprocessable `unknown_plan`."""
    return await signing_up.open_tenant(session, owner_id, name, plan_code, now)


async def access(
    database: Database, token: str, tenant_id: UUID, permission: Permission, now: datetime
) -> TenantAccess:
    """Who a session token belongs to, if they may do this in this tenant.

    Raises Unauthenticated `not_authenticated`, NotFound `tenant_not_found`, Forbidden `permission_missing`.
    """
    async with database.shared() as session:
        user = await identity.authenticate(session, token, now)
        return await tenants.enter(await session.enter_tenant(tenant_id), user.user_id, permission)


async def get_tenant(session: ReadSession) -> Tenant:
    """Raises NotFound `tenant_not_found`."""
    return await tenants.get_tenant(session)


async def lock_tenant(session: WriteSession) -> Tenant:
    """The tenant as it stays until this transaction ends. Raises NotFound `tenant_not_found`."""
    return await tenants.lock_tenant(session)


async def owner_emails(session: ReadSession) -> list[str]:
    """The addresses of the tenant's owners, oldest member first."""
    return [email for member, email in await members.list_members(session) if member.role is Role.OWNER]


async def list_projects(session: ReadSession) -> list[Project]:
    """The tenant's projects, oldest first."""
    return await projects.list_projects(session)


async def change_plan(session: WriteSession, plan_code: str) -> Tenant:
    """The limits of any plan from now on. Raises Unprocessable `unknown_plan`, NotFound `tenant_not_found`."""
    return await tenants.change_plan(session, plan_code)


async def set_status(session: WriteSession, status: TenantStatus) -> Tenant:
    """Suspends or resumes. Raises NotFound `tenant_not_found`."""
    return await tenants.set_status(session, status)


async def memberships(database: SystemDatabase, user_id: UUID) -> list[Membership]:
    """The tenants of a user and the role in each."""
    return await repository.memberships(database, user_id)


async def list_tenants(database: SystemDatabase, after: UUID | None = None, limit: int = 100) -> list[Tenant]:
    """A page of all tenants by id; for operators."""
    return await repository.all_tenants(database, after, limit)


async def known_to_gateways(session: ReadSession) -> TenantSnapshot | None:
    """What gateways are to know of the session's tenant; None when there is none."""
    return await repository.snapshot(session)


async def publish_all(open_session: Callable[[], AbstractAsyncContextManager[SystemSession]], redis: Redis) -> int:
    """Writes the snapshots of all tenants to Redis; returns how many."""
    return await snapshots.publish_all(open_session, redis)
