"""Rules for passwords, login attempts and sessions. No I/O."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from omni.kit.errors import InvalidInput

PASSWORD_MIN_CHARS = 12
PASSWORD_MAX_CHARS = 200

SESSION_PREFIX = "omni_sess_"
SESSION_IDLE = timedelta(hours=12)
SESSION_LIFE = timedelta(days=30)
SESSION_TOUCH = timedelta(minutes=1)
"""How exactly the last use is known: a session in use is written at most this often."""

VERIFY_PREFIX = "omni_verify_"
VERIFY_LIFE = timedelta(days=2)
VERIFY_PAUSE = timedelta(minutes=1)
"""Between two verification mails to one address."""

FREE_ATTEMPTS = 5
FIRST_LOCK = timedelta(minutes=15)
LONGEST_LOCK = timedelta(days=1)
FORGET_ATTEMPTS = timedelta(days=1)
"""After this long without an attempt and without a lock the count starts again."""


def check_password(password: str, email: str) -> None:
    """Length over composition (NIST SP 800-63B §3.1.1.2). Raises InvalidInput `weak_password`."""
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        reason = f"A password has {PASSWORD_MIN_CHARS} to {PASSWORD_MAX_CHARS} characters."
    elif password.strip().lower() == email:
        reason = "A password must not be the e-mail address."
    elif len(set(password)) < 4:
        reason = "A password needs more than three different characters."
    else:
        return
    raise InvalidInput("weak_password", reason, param="password")


def lock_after(attempts: int) -> timedelta | None:
    """How long an address is locked once `attempts` have been counted: from the fifth on, doubling each time."""
    if attempts < FREE_ATTEMPTS:
        return None
    factor: int = 2 ** min(attempts - FREE_ATTEMPTS, 10)
    return min(FIRST_LOCK * factor, LONGEST_LOCK)


def count_attempt(attempts: int, last_at: datetime, now: datetime) -> int:
    """The new count of attempts."""
    return 1 if now - last_at > FORGET_ATTEMPTS + (lock_after(attempts) or timedelta(0)) else attempts + 1


def digest(text: str) -> bytes:
    """SHA-256, under which tokens and counted addresses are stored."""
    return hashlib.sha256(text.encode()).digest()
