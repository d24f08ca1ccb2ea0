"""Use cases: register, verify, log in, log out, change the password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from omni.domains.identity import repository, rules
from omni.domains.identity.contracts import CurrentUser, NewUser, User
from omni.domains.identity.repository import Attempts, Credentials
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.crypto.tokens import mint_token, read_token
from omni.foundation.db.sessions import Session, SharedSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, Forbidden, InvalidInput, LimitExceeded, Unauthenticated
from omni.kit.ids import is_well_formed, mint_secret, uuid7

SEND_VERIFICATION = "identity.send_verification"
USER_AGENT_CHARS = 200


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new login session; the token is known only here."""

    token: str
    expires_at: datetime


def verification_secret(master_key: MasterKey) -> bytes:
    """What verification tokens are signed with."""
    return master_key.derive("email-verification")


def verification_token(secret: bytes, verification_id: UUID) -> str:
    """The token that a verification mail carries."""
    return mint_token(secret, rules.VERIFY_PREFIX, verification_id)


async def register(session: SharedSession, user: NewUser, now: datetime) -> UUID:
    """Adds a user and, unless vouched for, sends a verification mail. Raises Conflict `email_taken`."""
    user_id = uuid7()
    if not await repository.insert_user(session, user_id, user, now):
        raise Conflict("email_taken", "A user with this e-mail address exists. Log in instead.")
    if not user.verified:
        await _ask_for_verification(session, user_id, now)
    return user_id


async def resend_verification(session: SharedSession, email: str, now: datetime) -> None:
    """Sends another verification mail if the address belongs to an unverified user and none was sent just now."""
    found = await repository.user_by_email(session, email)
    if found is None or found.user.email_verified_at is not None:
        return
    if not await repository.has_verification_since(session, found.user.user_id, now - rules.VERIFY_PAUSE):
        await _ask_for_verification(session, found.user.user_id, now)


async def verify_email(session: SharedSession, secret: bytes, token: str, now: datetime) -> None:
    """Marks the address of a token as verified. Raises InvalidInput `invalid_verification_token`."""
    ids = read_token(secret, rules.VERIFY_PREFIX, token, 1)
    user_id = await repository.use_verification(session, ids[0], now) if ids else None
    if user_id is None:
        raise InvalidInput(
            "invalid_verification_token", "This link is wrong, used or over. Ask for a new one.", param="token"
        )
    await repository.mark_verified(session, user_id, now)


async def begin_login(session: SharedSession, email: str, now: datetime) -> Credentials | None:
    """Counts an attempt and returns what to check the password against; commit before checking it.

    None = nobody has this address; check against nothing, which takes as long. Raises LimitExceeded `login_locked`.
    """
    address = rules.digest(email)
    earlier = await repository.lock_attempts(session, address, now)
    if earlier.locked_until is not None and earlier.locked_until > now:
        wait_seconds = ceil((earlier.locked_until - now) / timedelta(seconds=1))
        raise LimitExceeded(
            "login_locked", "Too many failed logins. Try again later.", retry_after_seconds=wait_seconds
        )
    attempts = rules.count_attempt(earlier.attempts, earlier.last_at, now)
    lock = rules.lock_after(attempts)
    await repository.save_attempts(session, address, Attempts(attempts, now, now + lock if lock else None))
    return await repository.user_by_email(session, email)


async def forget_attempts(session: SharedSession, email: str) -> None:
    """Starts the count of attempts again; called once the password was right."""
    await repository.forget_attempts(session, rules.digest(email))


def require_match(credentials: Credentials | None, matches: bool) -> Credentials:
    """Raises Unauthenticated `invalid_credentials`, the same whether the address or the password is wrong."""
    if credentials is None or not matches:
        raise wrong_login()
    return credentials


def wrong_login() -> Unauthenticated:
    """`invalid_credentials`, whichever of the two was wrong."""
    return Unauthenticated("invalid_credentials", "The e-mail address or the password is wrong.")


def require_verified(user: User) -> None:
    """Raises Forbidden `email_not_verified`."""
    if user.email_verified_at is None:
        raise Forbidden("email_not_verified", "Open the link in the mail we sent you, or ask for a new one.")


async def upgrade_hash(session: SharedSession, credentials: Credentials, new_hash: str) -> None:
    """Stores the same password under today's parameters."""
    await repository.upgrade_hash(session, credentials.user.user_id, credentials.password_hash, new_hash)


async def open_session(session: SharedSession, user_id: UUID, user_agent: str, now: datetime) -> OpenedSession:
    """Logs a user in; what names the client is cut to printable characters."""
    token = mint_secret(rules.SESSION_PREFIX)
    expires_at = now + rules.SESSION_LIFE
    agent = "".join(filter(str.isprintable, user_agent))[:USER_AGENT_CHARS]
    await repository.insert_session(session, rules.digest(token), user_id, agent, now, expires_at)
    return OpenedSession(token, expires_at)


async def close_session(session: SharedSession, token: str, now: datetime) -> None:
    """Logs out."""
    await repository.revoke_session(session, rules.digest(token), now)


async def authenticate(session: Session, token: str, now: datetime) -> CurrentUser:
    """The user of a session token. Raises Unauthenticated `not_authenticated`."""
    live = None
    if is_well_formed(token, (rules.SESSION_PREFIX,)):
        live = await repository.live_session(session, rules.digest(token), now, now - rules.SESSION_IDLE)
    if live is None:
        raise Unauthenticated("not_authenticated", "Log in and send the session token as Authorization: Bearer.")
    if now - live.last_seen_at >= rules.SESSION_TOUCH:
        await repository.touch_session(session, rules.digest(token), now)
    return live.user


async def change_password(session: SharedSession, user_id: UUID, password_hash: str, token: str, now: datetime) -> None:
    """Sets a new password and ends every other session of the user."""
    await repository.set_password(session, user_id, password_hash, now)
    await repository.revoke_other_sessions(session, user_id, rules.digest(token), now)


async def _ask_for_verification(session: SharedSession, user_id: UUID, now: datetime) -> None:
    verification_id = uuid7()
    await repository.insert_verification(session, verification_id, user_id, now, now + rules.VERIFY_LIFE)
    await enqueue(session, SEND_VERIFICATION, verification_id=verification_id)
