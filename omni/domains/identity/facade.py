"""What other domains and the applications may ask of identity."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from omni.domains.identity import repository, rules, service
from omni.domains.identity.contracts import CurrentUser, Login, NewUser, User
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.db.sessions import Database, Session, SharedSession
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


async def check_password(
    database: Database, passwords: Passwords, email: str, password: str, now: datetime
) -> repository.Credentials:
    """Counts the attempt, checks the password outside of any transaction, and forgets the count when it was right.

    Raises Unauthenticated `invalid_credentials`, LimitExceeded `login_locked`.
    """
    async with database.shared() as session:
        credentials = await service.begin_login(session, email, now)
    matches = await passwords.matches(credentials.password_hash if credentials else None, password)
    found = service.require_match(credentials, matches)
    async with database.shared() as session:
        await service.forget_attempts(session, email)
    return found


async def log_in(database: Database, passwords: Passwords, login: Login, now: datetime) -> service.OpenedSession:
    """Opens a session. Raises what `check_password` raises, and Forbidden `email_not_verified`.

    What is no address at all is answered as one that nobody has.
    """
    try:
        email = normalise_email(login.email)
    except ValueError:
        raise service.wrong_login() from None
    found = await check_password(database, passwords, email, login.password, now)
    service.require_verified(found.user)
    async with database.shared() as session:
        return await service.open_session(session, found.user.user_id, login.user_agent, now)


async def log_out(database: Database, token: str, now: datetime) -> None:
    """Ends a session; one that is over already is left."""
    async with database.shared() as session:
        await service.close_session(session, token, now)


def require_operator(user: CurrentUser) -> None:
    """Raises Forbidden `operator_required`."""
    if not user.is_operator:
        raise Forbidden("operator_required", "Only operators of the platform may do this.")
