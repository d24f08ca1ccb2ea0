"""Invitations: send, list, revoke, accept."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from omni.domains.identity.contracts import CurrentUser
from omni.domains.tenants import repository, rules
from omni.domains.tenants.contracts import Invitation, Membership, TenantAccess
from omni.domains.tenants.service.tenants import get_tenant
from omni.foundation.authz import Role
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.crypto.tokens import mint_token, read_token
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, InvalidInput, NotFound
from omni.kit.ids import uuid7

SEND_INVITATION = "tenants.send_invitation"


def invitation_secret(master_key: MasterKey) -> bytes:
    """What invitation tokens are signed with."""
    return master_key.derive("tenant-invitation")


def invitation_token(secret: bytes, tenant_id: UUID, invitation_id: UUID) -> str:
    """The token that an invitation mail carries."""
    return mint_token(secret, rules.INVITE_PREFIX, tenant_id, invitation_id)


def read_invitation_token(secret: bytes, token: str) -> tuple[UUID, UUID]:
    """Tenant and invitation of a token. Raises InvalidInput `invalid_invitation_token`."""
    ids = read_token(secret, rules.INVITE_PREFIX, token, 2)
    if ids is None:
        raise _invalid_token()
    return ids[0], ids[1]


async def list_invitations(session: ReadSession, now: datetime) -> list[Invitation]:
    """Those that can still be accepted, oldest first."""
    return await repository.pending_invitations(session, now)


async def invite(session: WriteSession, actor: TenantAccess, email: str, role: Role, now: datetime) -> Invitation:
    """Mails an invitation; an open one to the same address is replaced.

    Raises Forbidden `role_above_yours`, Conflict `too_many_invitations`.
    """
    rules.require_not_above(actor.role, role)
    await repository.lock_tenant(session)
    await repository.revoke_invitations(session, now, email=email)
    if len(await repository.pending_invitations(session, now)) >= rules.MAX_PENDING_INVITATIONS:
        raise Conflict("too_many_invitations", "Too many invitations are open. Revoke some first.")
    invitation = Invitation(uuid7(), email, role, now, now + rules.INVITE_LIFE)
    await repository.insert_invitation(session, invitation, actor.user_id)
    await enqueue(session, SEND_INVITATION, tenant_id=session.tenant_id, invitation_id=invitation.invitation_id)
    return invitation


async def revoke(session: WriteSession, invitation_id: UUID, now: datetime) -> None:
    """Raises NotFound `invitation_not_found`."""
    if not await repository.revoke_invitations(session, now, invitation_id=invitation_id):
        raise NotFound("invitation_not_found", "There is no such open invitation.")


async def accept(session: WriteSession, user: CurrentUser, invitation_id: UUID, now: datetime) -> Membership:
    """Makes the user a member. Someone else's invitation answers like one that is used or over.

    Raises InvalidInput `invalid_invitation_token`, Conflict `already_member`.
    """
    invitation = await repository.pending_invitation(session, invitation_id, now)
    if invitation is None or invitation.email != user.email:
        raise _invalid_token()
    if not await repository.accept_invitation(session, invitation_id, now):
        raise _invalid_token()
    if not await repository.insert_member(session, user.user_id, invitation.role, now):
        raise Conflict("already_member", "You are a member of this tenant already.")
    return Membership(await get_tenant(session), invitation.role)


def _invalid_token() -> InvalidInput:
    return InvalidInput(
        "invalid_invitation_token", "This invitation is wrong, used, over or for another address.", param="token"
    )
