"""Members: list, change a role, remove, leave."""

from __future__ import annotations

from uuid import UUID

from omni.domains.identity import facade as identity
from omni.domains.tenants import repository, rules
from omni.domains.tenants.contracts import Member, TenantAccess
from omni.foundation.authz import Role
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import Conflict, NotFound


async def list_members(session: ReadSession) -> list[tuple[Member, str]]:
    """Members with their e-mail addresses, oldest first."""
    members = await repository.all_members(session)
    users = await identity.users_by_ids(session, [member.user_id for member in members])
    return [(member, users[member.user_id].email) for member in members]


async def change_role(session: WriteSession, actor: TenantAccess, user_id: UUID, role: Role) -> tuple[Member, str]:
    """Raises NotFound `member_not_found`, Forbidden `role_above_yours`, Conflict `last_owner`."""
    member = await _lock(session, user_id)
    rules.require_not_above(await _role_now(session, actor), member.role, role)
    if member.role is Role.OWNER and role is not Role.OWNER:
        await _require_other_owner(session)
    await repository.set_role(session, user_id, role)
    users = await identity.users_by_ids(session, [user_id])
    return Member(user_id, role, member.created_at), users[user_id].email


async def remove_member(session: WriteSession, actor: TenantAccess, user_id: UUID) -> None:
    """Raises NotFound `member_not_found`, Forbidden `role_above_yours`, Conflict `last_owner`."""
    member = await _lock(session, user_id)
    rules.require_not_above(await _role_now(session, actor), member.role)
    if member.role is Role.OWNER:
        await _require_other_owner(session)
    await repository.delete_member(session, user_id)


async def _lock(session: WriteSession, user_id: UUID) -> Member:
    await repository.lock_tenant(session)
    member = await repository.member(session, user_id)
    if member is None:
        raise NotFound("member_not_found", "This user is not a member of the tenant.")
    return member


async def _role_now(session: ReadSession, actor: TenantAccess) -> Role:
    """The actor's role under the lock: it may have changed since the request was let in."""
    member = await repository.member(session, actor.user_id)
    return member.role if member else Role.VIEWER


async def _require_other_owner(session: ReadSession) -> None:
    if await repository.count_owners(session) == 1:
        raise Conflict("last_owner", "A tenant keeps at least one owner. Make someone else owner first.")
