"""What others may know of a user."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """Who sent a request."""

    user_id: UUID
    email: str
    is_operator: bool


@dataclass(frozen=True, slots=True)
class User:
    """A person with a login."""

    user_id: UUID
    email: str
    email_verified_at: datetime | None
    is_operator: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to register. `verified` is for those whose address an operator vouches for."""

    email: str
    password_hash: str
    verified: bool = False
    is_operator: bool = False


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody proves who they are with."""

    email: str
    password: str = field(repr=False)
    user_agent: str
