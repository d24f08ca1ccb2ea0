"""What other domains and the applications may ask of identity."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from omni.domains.identity import repository, rules, service
from omni.domains.identity.contracts import CurrentUser, NewUser, User
from omni.foundation.db.sessions import Session, SharedSession
from omni.kit.emails import normalise_email
from omni.kit.errors import Forbidden


async def register(session: SharedSession, user: NewUser, now: datetime) -> UUID:
    """Adds a user; normalises the address. Raises Conflict `email_taken`, ValueError for what is no address."""
    address = normalise_email(user.email)
    return await service.register(session, NewUser(address, user.password_hash, user.verified, user.is_operator), now)


def check_new_password(password: str, email: str) -> None:
    """Raises InvalidInput `weak_password`."""
    rules.check_password(password, email)


async def authenticate(session: Session, token: str, now: datetime) -> CurrentUser:
    """The user of a session token. Raises Unauthenticated `not_authenticated`."""
    return await service.authenticate(session, token, now)


async def users_by_ids(session: Session, user_ids: Collection[UUID]) -> dict[UUID, User]:
    """The users with these ids."""
    return await repository.users_by_ids(session, user_ids)


async def user_by_email(session: Session, email: str) -> User | None:
    """The user with this address."""
    found = await repository.user_by_email(session, normalise_email(email))
    return None if found is None else found.user


def require_operator(user: CurrentUser) -> None:
    """Raises Forbidden `operator_required`."""
    if not user.is_operator:
        raise Forbidden("operator_required", "Only operators of the platform may do this.")
