"""Bodies of the authentication routes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from omni.foundation.http.fields import EmailAddress, PasswordText, RequestModel, TokenText


class VerifyEmailIn(RequestModel):
    """The token from the verification mail."""

    token: TokenText


class ResendVerificationIn(RequestModel):
    """The address to send another mail to."""

    email: EmailAddress


class LoginIn(RequestModel):
    """Credentials."""

    email: EmailAddress
    password: PasswordText


class ChangePasswordIn(RequestModel):
    """The password of now, to prove who asks, and the next one."""

    current_password: PasswordText
    new_password: PasswordText


class AcceptedOut(BaseModel):
    """The request was taken; what came of it is not told."""

    status: Literal["accepted"] = "accepted"


class UserOut(BaseModel):
    """A user, to itself."""

    id: UUID
    email: str
    is_operator: bool


class LoginOut(BaseModel):
    """A session. Send the token as `Authorization: Bearer …`; it is not shown again."""

    session_token: str
    expires_at: datetime
    user: UserOut
