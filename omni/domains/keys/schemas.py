"""Bodies of the key routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from omni.foundation.http.fields import Name, RequestModel

KeyName = Annotated[Name, Field(examples=["backend of the shop"])]
Scopes = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50, examples=[["inference"]])]
Networks = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50, examples=[["203.0.113.0/24"]])]
WEEK_SECONDS = 7 * 86400


Rate = Annotated[int | None, Field(ge=1, le=10**12, examples=[None])]
Models = Annotated[
    list[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$")]] | None,
    Field(max_length=1000, examples=[None]),
]


class KeyLimitsModel(BaseModel):
    """Limits of this key alone, within its plan's; null = only the plan's."""

    requests_per_minute: Rate = None
    tokens_per_minute: Rate = None
    concurrent_requests: Rate = None
    models: Models = None


class KeyIn(RequestModel, KeyLimitsModel):
    """A key to make."""

    project_id: UUID
    name: KeyName
    mode: Literal["live", "test"] = "live"
    scopes: Scopes = Field(default_factory=lambda: ["*"], description="`*` allows everything.")
    networks: Networks = Field(default_factory=list, description="Client networks that may use it; empty = any.")
    expires_at: AwareDatetime | None = None


class KeyPatch(RequestModel, KeyLimitsModel):
    """What to change; what is left out stays, and null lifts a limit."""

    name: KeyName | None = None
    scopes: Scopes | None = None
    networks: Networks | None = None


class RotateIn(RequestModel):
    """How long the old key works on, in seconds."""

    overlap_seconds: Annotated[int, Field(ge=0, le=WEEK_SECONDS, examples=[86400])] = 86400


class KeyOut(KeyLimitsModel):
    """A key, without the key itself."""

    id: UUID
    project_id: UUID
    name: str
    mode: Literal["live", "test"]
    status: Literal["active", "rotated", "expired", "revoked"] = Field(
        description="`rotated`: has a successor and still works until `ends_at`."
    )
    prefix: str
    last4: str
    scopes: list[str]
    networks: list[str]
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None
    ends_at: datetime | None
    revoked_at: datetime | None
    rotated_to: UUID | None
    last_used_at: datetime | None


class CreatedKeyOut(KeyOut):
    """A new key. `secret` is shown this once."""

    secret: str


class KeysOut(BaseModel):
    """A page of keys, newest first. `next_cursor` is null on the last one."""

    data: list[KeyOut]
    next_cursor: UUID | None
