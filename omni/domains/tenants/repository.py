"""SQL of the tenants domain."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from omni.contracts.snapshots import TenantSnapshot
from omni.domains.tenants.contracts import (
    GatewaySettings,
    Invitation,
    Member,
    Membership,
    Project,
    Tenant,
    TenantStatus,
)
from omni.domains.tenants.tables import invitations, members, projects, tenants
from omni.foundation.authz import Role
from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession
from omni.foundation.db.system_session import SystemDatabase


async def insert_tenant(session: WriteSession, name: str, plan_code: str, now: datetime) -> None:
    """The session's own tenant."""
    row = {"tenant_id": session.tenant_id, "name": name, "plan_code": plan_code, "status": "active", "created_at": now}
    await session.execute(tenants.insert().values(row))


async def tenant(session: ReadSession) -> Tenant | None:
    """The session's own tenant."""
    row = await session.first(select(tenants).where(tenants.c.tenant_id == session.tenant_id))
    return None if row is None else _from_row_tenant(row)


async def gateway_settings(session: ReadSession) -> GatewaySettings | None:
    """Of the session's own tenant."""
    row = await session.first(select(tenants.c.gateway_settings).where(tenants.c.tenant_id == session.tenant_id))
    return None if row is None else GatewaySettings.from_row(row["gateway_settings"])


async def set_gateway_settings(session: WriteSession, settings: GatewaySettings) -> bool:
    """False when there is no such tenant."""
    statement = update(tenants).where(tenants.c.tenant_id == session.tenant_id)
    return (await session.execute(statement.values(gateway_settings=asdict(settings)))).rowcount == 1


async def lock_tenant(session: WriteSession) -> None:
    """Until the transaction ends nobody else who asks for this lock changes the tenant, its members or projects."""
    statement = select(tenants.c.tenant_id).where(tenants.c.tenant_id == session.tenant_id)
    await session.execute(statement.with_for_update(key_share=True))


async def update_tenant(session: WriteSession, **values: str) -> Tenant | None:
    """The tenant after the change; None when there is none."""
    statement = update(tenants).where(tenants.c.tenant_id == session.tenant_id).values(**values).returning(tenants)
    row = await session.first(statement)
    return None if row is None else _from_row_tenant(row)


async def locked_snapshot(session: WriteSession) -> TenantSnapshot | None:
    """The tenant as gateways see it; nobody changes it until the transaction ends."""
    row = await session.first(_locked_tenants().where(tenants.c.tenant_id == session.tenant_id))
    return None if row is None else _to_snapshot(row)


async def snapshot(session: ReadSession) -> TenantSnapshot | None:
    """The session's own tenant as gateways see it."""
    row = await session.first(select(tenants).where(tenants.c.tenant_id == session.tenant_id))
    return None if row is None else _to_snapshot(row)


async def locked_snapshots(session: SystemSession, after: UUID | None, limit: int) -> list[TenantSnapshot]:
    """A page of all tenants; nobody changes them until the transaction ends."""
    statement = _locked_tenants().order_by(tenants.c.tenant_id).limit(limit)
    if after is not None:
        statement = statement.where(tenants.c.tenant_id > after)
    return [_to_snapshot(row) for row in await session.all(statement)]


async def memberships(database: SystemDatabase, user_id: UUID) -> list[Membership]:
    """The tenants of a user, over all tenants."""
    statement = (
        select(tenants, members.c.role)
        .join(members, members.c.tenant_id == tenants.c.tenant_id)
        .where(members.c.user_id == user_id)
        .order_by(members.c.created_at, tenants.c.tenant_id)
    )
    async with database.session() as session:
        return [Membership(_from_row_tenant(row), Role(row["role"])) for row in await session.all(statement)]


async def all_tenants(database: SystemDatabase, after: UUID | None, limit: int) -> list[Tenant]:
    """A page of all tenants, by id."""
    statement = select(tenants).order_by(tenants.c.tenant_id).limit(limit)
    if after is not None:
        statement = statement.where(tenants.c.tenant_id > after)
    async with database.session() as session:
        return [_from_row_tenant(row) for row in await session.all(statement)]


async def insert_project(session: WriteSession, project: Project) -> bool:
    """False when the name is taken."""
    row = {
        "tenant_id": session.tenant_id,
        "id": project.project_id,
        "name": project.name,
        "created_at": project.created_at,
    }
    return (await session.execute(insert(projects).values(row).on_conflict_do_nothing())).rowcount == 1


async def all_projects(session: ReadSession) -> list[Project]:
    """Oldest first."""
    table = projects.c
    statement = select(projects).where(table.tenant_id == session.tenant_id).order_by(table.created_at, table.id)
    return [_from_row_project(row) for row in await session.all(statement)]


async def project(session: ReadSession, project_id: UUID) -> Project | None:
    """None when it is missing or another tenant's."""
    table = projects.c
    row = await session.first(select(projects).where(table.tenant_id == session.tenant_id, table.id == project_id))
    return None if row is None else _from_row_project(row)


async def rename_project(session: WriteSession, project_id: UUID, name: str) -> bool:
    """False when another project has the name."""
    table = projects.c
    statement = update(projects).where(table.tenant_id == session.tenant_id, table.id == project_id).values(name=name)
    try:
        async with session.savepoint():
            await session.execute(statement)
    except IntegrityError:
        return False
    return True


async def delete_project(session: WriteSession, project_id: UUID) -> bool:
    """False when something still refers to it."""
    table = projects.c
    statement = delete(projects).where(table.tenant_id == session.tenant_id, table.id == project_id)
    try:
        async with session.savepoint():
            await session.execute(statement)
    except IntegrityError:
        return False
    return True


async def count_projects(session: ReadSession) -> int:
    """Of the session's tenant."""
    statement = select(func.count()).select_from(projects).where(projects.c.tenant_id == session.tenant_id)
    return int(await session.scalar(statement))


async def insert_member(session: WriteSession, user_id: UUID, role: Role, now: datetime) -> bool:
    """False when the user is a member already."""
    row = {"tenant_id": session.tenant_id, "user_id": user_id, "role": role, "created_at": now}
    return (await session.execute(insert(members).values(row).on_conflict_do_nothing())).rowcount == 1


async def member(session: ReadSession, user_id: UUID) -> Member | None:
    """None when the user is not one."""
    table = members.c
    row = await session.first(select(members).where(table.tenant_id == session.tenant_id, table.user_id == user_id))
    return None if row is None else _from_row_member(row)


async def all_members(session: ReadSession) -> list[Member]:
    """Oldest first."""
    table = members.c
    statement = select(members).where(table.tenant_id == session.tenant_id).order_by(table.created_at, table.user_id)
    return [_from_row_member(row) for row in await session.all(statement)]


async def count_owners(session: ReadSession) -> int:
    """Of the session's tenant."""
    table = members.c
    statement = select(func.count()).where(table.tenant_id == session.tenant_id, table.role == Role.OWNER)
    return int(await session.scalar(statement))


async def set_role(session: WriteSession, user_id: UUID, role: Role) -> None:
    """Of a member whose tenant is locked."""
    table = members.c
    statement = update(members).where(table.tenant_id == session.tenant_id, table.user_id == user_id)
    await session.execute(statement.values(role=role))


async def delete_member(session: WriteSession, user_id: UUID) -> None:
    """Of a tenant that is locked."""
    table = members.c
    await session.execute(delete(members).where(table.tenant_id == session.tenant_id, table.user_id == user_id))


async def insert_invitation(session: WriteSession, invitation: Invitation, invited_by: UUID) -> None:
    """An open one."""
    row = {
        "tenant_id": session.tenant_id,
        "id": invitation.invitation_id,
        "email": invitation.email,
        "role": invitation.role,
        "invited_by": invited_by,
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
    }
    await session.execute(invitations.insert().values(row))


async def pending_invitations(session: ReadSession, now: datetime) -> list[Invitation]:
    """Those that can still be accepted, oldest first."""
    statement = _pending(session, now).order_by(invitations.c.created_at, invitations.c.id)
    return [_from_row_invitation(row) for row in await session.all(statement)]


async def pending_invitation(session: ReadSession, invitation_id: UUID, now: datetime) -> Invitation | None:
    """None when it cannot be accepted any more."""
    row = await session.first(_pending(session, now).where(invitations.c.id == invitation_id))
    return None if row is None else _from_row_invitation(row)


async def revoke_invitations(
    session: WriteSession, now: datetime, *, invitation_id: UUID | None = None, email: str | None = None
) -> int:
    """Revokes the open invitations with that id or to that address; returns how many."""
    table = invitations.c
    open_ones = [table.tenant_id == session.tenant_id, table.accepted_at.is_(None), table.revoked_at.is_(None)]
    which = table.id == invitation_id if email is None else table.email == email
    statement = update(invitations).where(*open_ones, which).values(revoked_at=now)
    return (await session.execute(statement)).rowcount


async def accept_invitation(session: WriteSession, invitation_id: UUID, now: datetime) -> bool:
    """False when someone was faster, revoked it, or it is over."""
    table = invitations.c
    statement = (
        update(invitations)
        .where(table.tenant_id == session.tenant_id, table.id == invitation_id, table.expires_at > now)
        .where(table.accepted_at.is_(None), table.revoked_at.is_(None))
        .values(accepted_at=now)
    )
    return (await session.execute(statement)).rowcount == 1


def _pending(session: ReadSession, now: datetime) -> Select[Any]:
    table = invitations.c
    open_ones = (table.accepted_at.is_(None), table.revoked_at.is_(None), table.expires_at > now)
    return select(invitations).where(table.tenant_id == session.tenant_id, *open_ones)


def _locked_tenants() -> Select[Any]:
    return select(tenants).with_for_update(read=True)


def _to_snapshot(row: RowMapping) -> TenantSnapshot:
    settings = GatewaySettings.from_row(row["gateway_settings"])
    return TenantSnapshot(
        row["tenant_id"],
        row["plan_code"],
        row["status"] == "active",
        settings.policies,
        settings.cache_seconds,
        settings.semantic_threshold_per_mille,
    )


def _from_row_tenant(row: RowMapping) -> Tenant:
    status: TenantStatus = row["status"]
    return Tenant(row["tenant_id"], row["name"], row["plan_code"], status, row["created_at"])


def _from_row_project(row: RowMapping) -> Project:
    return Project(row["id"], row["name"], row["created_at"])


def _from_row_member(row: RowMapping) -> Member:
    return Member(row["user_id"], Role(row["role"]), row["created_at"])


def _from_row_invitation(row: RowMapping) -> Invitation:
    return Invitation(row["id"], row["email"], Role(row["role"]), row["created_at"], row["expires_at"])
