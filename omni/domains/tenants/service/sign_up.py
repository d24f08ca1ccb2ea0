"""Sign-up: a user, a tenant, its first project and owner, in one transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from omni.domains.identity import facade as identity
from omni.domains.identity.contracts import NewUser
from omni.domains.plans import facade as plans
from omni.domains.tenants import repository, rules
from omni.domains.tenants.contracts import NewSignUp, Project, SignedUp
from omni.domains.tenants.service.snapshots import enqueue_publish
from omni.foundation.authz import Role
from omni.foundation.db.sessions import SharedSession
from omni.kit.ids import uuid7


async def sign_up(session: SharedSession, new: NewSignUp, now: datetime) -> SignedUp:
    """Raises Conflict `email_taken`, Unprocessable `unknown_plan`."""
    user = NewUser(new.email, new.password_hash, new.verified, new.is_operator)
    user_id = await identity.register(session, user, now)
    return await open_tenant(session, user_id, new.tenant_name, new.plan_code, now)


async def open_tenant(session: SharedSession, owner_id: UUID, name: str, plan_code: str, now: datetime) -> SignedUp:
    """A tenant for a user that exists. Raises Unprocessable `unknown_plan`."""
    await plans.require_plan(session, plan_code, public_only=False)
    tenant = await session.enter_tenant(uuid7())
    await repository.insert_tenant(tenant, name, plan_code, now)
    project = Project(uuid7(), rules.DEFAULT_PROJECT, now)
    await repository.insert_project(tenant, project)
    await repository.insert_member(tenant, owner_id, Role.OWNER, now)
    await enqueue_publish(tenant)
    return SignedUp(owner_id, tenant.tenant_id, project.project_id)
