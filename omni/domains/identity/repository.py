"""SQL of the identity domain."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.identity.contracts import CurrentUser, NewUser, User
from omni.domains.identity.tables import email_verifications, login_attempts, login_sessions, users
from omni.foundation.db.sessions import Session, SharedSession


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login is checked against."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True)
class Attempts:
    """Login attempts counted for an address."""

    attempts: int
    last_at: datetime
    locked_until: datetime | None


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that has not ended."""

    user: CurrentUser
    last_seen_at: datetime


async def insert_user(session: SharedSession, user_id: UUID, user: NewUser, now: datetime) -> bool:
    """False when the address is taken."""
    row = {
        "id": user_id,
        "email": user.email,
        "password_hash": user.password_hash,
        "is_operator": user.is_operator,
        "email_verified_at": now if user.verified else None,
        "created_at": now,
        "updated_at": now,
    }
    statement = insert(users).values(row).on_conflict_do_nothing(index_elements=["email"])
    return (await session.execute(statement)).rowcount == 1


async def user_by_email(session: Session, email: str) -> Credentials | None:
    """By normalised address."""
    row = await session.first(select(users).where(users.c.email == email))
    return None if row is None else Credentials(_from_row_user(row), row["password_hash"])


async def user_by_id(session: Session, user_id: UUID) -> Credentials | None:
    """With the password hash."""
    row = await session.first(select(users).where(users.c.id == user_id))
    return None if row is None else Credentials(_from_row_user(row), row["password_hash"])


async def users_by_ids(session: Session, user_ids: Collection[UUID]) -> dict[UUID, User]:
    """By id; unknown ids are left out."""
    rows = await session.all(select(users).where(users.c.id.in_(user_ids)))
    return {row["id"]: _from_row_user(row) for row in rows}


async def set_password(session: SharedSession, user_id: UUID, password_hash: str, now: datetime) -> None:
    """Replaces the hash."""
    values = {"password_hash": password_hash, "updated_at": now}
    await session.execute(update(users).where(users.c.id == user_id).values(values))


async def upgrade_hash(session: SharedSession, user_id: UUID, old_hash: str, new_hash: str) -> None:
    """Nothing happens when the password was changed meanwhile."""
    unchanged = update(users).where(users.c.id == user_id, users.c.password_hash == old_hash)
    await session.execute(unchanged.values(password_hash=new_hash))


async def insert_verification(
    session: SharedSession, verification_id: UUID, user_id: UUID, now: datetime, expires_at: datetime
) -> None:
    """A verification that is open until `expires_at`."""
    row = {"id": verification_id, "user_id": user_id, "created_at": now, "expires_at": expires_at}
    await session.execute(email_verifications.insert().values(row))


async def has_verification_since(session: SharedSession, user_id: UUID, moment: datetime) -> bool:
    """Whether a verification was asked for after `moment`; takes a lock, so that of two requests one sees the other."""
    await session.execute(select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True))
    table = email_verifications.c
    found = select(table.id).where(table.user_id == user_id, table.created_at > moment).limit(1)
    return await session.first(found) is not None


async def open_verification(session: Session, verification_id: UUID, now: datetime) -> User | None:
    """The user whose address a verification is for; None when it is used, over or unknown."""
    table = email_verifications.c
    found = (
        select(users)
        .join(email_verifications, table.user_id == users.c.id)
        .where(table.id == verification_id, table.used_at.is_(None), table.expires_at > now)
    )
    row = await session.first(found)
    return None if row is None else _from_row_user(row)


async def use_verification(session: SharedSession, verification_id: UUID, now: datetime) -> UUID | None:
    """Uses a verification up; the user that it was for, or None when it is used, over or unknown."""
    table = email_verifications.c
    used = (
        update(email_verifications)
        .where(table.id == verification_id, table.used_at.is_(None), table.expires_at > now)
        .values(used_at=now)
        .returning(table.user_id)
    )
    user_id: UUID | None = await session.scalar(used)
    return user_id


async def mark_verified(session: SharedSession, user_id: UUID, now: datetime) -> None:
    """Keeps the first moment when it was verified before."""
    values = {"email_verified_at": now, "updated_at": now}
    await session.execute(
        update(users).where(users.c.id == user_id, users.c.email_verified_at.is_(None)).values(values)
    )


async def lock_attempts(session: SharedSession, email_sha256: bytes, now: datetime) -> Attempts:
    """The attempts of an address, locked for this transaction."""
    fresh = {"email_sha256": email_sha256, "attempts": 0, "last_at": now}
    await session.execute(insert(login_attempts).values(fresh).on_conflict_do_nothing())
    table = login_attempts.c
    row = await session.first(select(login_attempts).where(table.email_sha256 == email_sha256).with_for_update())
    if row is None:  # forgotten by someone who logged in between the two statements
        return await lock_attempts(session, email_sha256, now)
    return Attempts(row["attempts"], row["last_at"], row["locked_until"])


async def save_attempts(session: SharedSession, email_sha256: bytes, attempts: Attempts) -> None:
    """Of an address whose row is locked."""
    values = {"attempts": attempts.attempts, "last_at": attempts.last_at, "locked_until": attempts.locked_until}
    await session.execute(update(login_attempts).where(login_attempts.c.email_sha256 == email_sha256).values(values))


async def forget_attempts(session: SharedSession, email_sha256: bytes) -> None:
    """Takes the lock away, too."""
    await session.execute(delete(login_attempts).where(login_attempts.c.email_sha256 == email_sha256))


async def insert_session(
    session: SharedSession, token_sha256: bytes, user_id: UUID, user_agent: str, now: datetime, expires_at: datetime
) -> None:
    """A session, last used now."""
    row = {
        "token_sha256": token_sha256,
        "user_id": user_id,
        "user_agent": user_agent,
        "created_at": now,
        "last_seen_at": now,
        "expires_at": expires_at,
    }
    await session.execute(login_sessions.insert().values(row))


async def live_session(
    session: Session, token_sha256: bytes, now: datetime, seen_after: datetime
) -> LiveSession | None:
    """The session, unless it is revoked, over or was last used before `seen_after`."""
    table = login_sessions.c
    found = (
        select(users.c.id, users.c.email, users.c.is_operator, table.last_seen_at)
        .join(users, users.c.id == table.user_id)
        .where(table.token_sha256 == token_sha256, table.revoked_at.is_(None))
        .where(table.expires_at > now, table.last_seen_at > seen_after)
    )
    row = await session.first(found)
    if row is None:
        return None
    return LiveSession(CurrentUser(row["id"], row["email"], row["is_operator"]), row["last_seen_at"])


async def touch_session(session: Session, token_sha256: bytes, now: datetime) -> None:
    """Records a use."""
    statement = update(login_sessions).where(login_sessions.c.token_sha256 == token_sha256).values(last_seen_at=now)
    await session.execute(statement)


async def revoke_session(session: SharedSession, token_sha256: bytes, now: datetime) -> None:
    """Ends it for good."""
    statement = update(login_sessions).where(login_sessions.c.token_sha256 == token_sha256).values(revoked_at=now)
    await session.execute(statement)


async def revoke_other_sessions(session: SharedSession, user_id: UUID, kept: bytes, now: datetime) -> None:
    """Ends all of a user's sessions but the kept one."""
    table = login_sessions.c
    others = update(login_sessions).where(
        table.user_id == user_id, table.token_sha256 != kept, table.revoked_at.is_(None)
    )
    await session.execute(others.values(revoked_at=now))


async def forget_ended(session: SharedSession, now: datetime, attempts_before: datetime) -> None:
    """Removes what no longer means anything."""
    await session.execute(delete(login_sessions).where(login_sessions.c.expires_at < now))
    await session.execute(delete(email_verifications).where(email_verifications.c.expires_at < now))
    table = login_attempts.c
    unlocked = or_(table.locked_until.is_(None), table.locked_until < now)
    await session.execute(delete(login_attempts).where(table.last_at < attempts_before, unlocked))


def _from_row_user(row: RowMapping) -> User:
    return User(row["id"], row["email"], row["email_verified_at"], row["is_operator"], row["created_at"])
