"""The tenant itself: read, rename, change plan, suspend, resume; who may enter it."""

from __future__ import annotations

from uuid import UUID

from omni.domains.plans import facade as plans
from omni.domains.tenants import repository
from omni.domains.tenants.contracts import GatewaySettings, Tenant, TenantAccess, TenantStatus
from omni.domains.tenants.service.snapshots import enqueue_publish
from omni.foundation.authz import Permission, require
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import NotFound


async def enter(session: ReadSession, user_id: UUID, permission: Permission) -> TenantAccess:
    """Admits a member to the session's tenant.

    Raises NotFound `tenant_not_found` for a tenant that does not exist or that the user is no member of, Forbidden
    `permission_missing`.
    """
    member = await repository.member(session, user_id)
    if member is None:
        raise tenant_not_found()
    require(member.role, permission)
    return TenantAccess(session.tenant_id, user_id, member.role)


async def get_tenant(session: ReadSession) -> Tenant:
    """Raises NotFound `tenant_not_found`."""
    return _found(await repository.tenant(session))


async def lock_tenant(session: WriteSession) -> Tenant:
    """The tenant as it stays until this transaction ends. Raises NotFound `tenant_not_found`."""
    await repository.lock_tenant(session)
    return await get_tenant(session)


async def rename(session: WriteSession, name: str) -> Tenant:
    """Raises NotFound `tenant_not_found`."""
    return _found(await repository.update_tenant(session, name=name))


async def change_plan(session: WriteSession, plan_code: str) -> Tenant:
    """Puts the tenant on any plan. Raises Unprocessable `unknown_plan`, NotFound `tenant_not_found`."""
    await plans.require_plan(session, plan_code, public_only=False)
    tenant = _found(await repository.update_tenant(session, plan_code=plan_code))
    await enqueue_publish(session)
    return tenant


async def set_status(session: WriteSession, status: TenantStatus) -> Tenant:
    """Suspends or resumes; gateways follow within a second. Raises NotFound `tenant_not_found`."""
    tenant = _found(await repository.update_tenant(session, status=status))
    await enqueue_publish(session)
    return tenant


async def gateway_settings(session: ReadSession) -> GatewaySettings:
    """Raises NotFound `tenant_not_found`."""
    settings = await repository.gateway_settings(session)
    if settings is None:
        raise tenant_not_found()
    return settings


async def set_gateway_settings(session: WriteSession, settings: GatewaySettings) -> GatewaySettings:
    """Replaces them; gateways follow within a second. Raises NotFound `tenant_not_found`."""
    if not await repository.set_gateway_settings(session, settings):
        raise tenant_not_found()
    await enqueue_publish(session)
    return settings


def tenant_not_found() -> NotFound:
    """The one answer for what is missing and what is hidden."""
    return NotFound("tenant_not_found", "There is no such tenant, or you are not a member of it.")


def _found(tenant: Tenant | None) -> Tenant:
    if tenant is None:
        raise tenant_not_found()
    return tenant
