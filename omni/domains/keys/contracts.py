"""API keys as others see them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from omni.contracts.snapshots import Mode

ALL_SCOPES = "*"


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """Limits of one key within its plan's; None = only the plan's."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    models: tuple[str, ...] | None = None


NO_LIMITS = KeyLimits()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make. Scopes and networks as in contracts.snapshots.KeySnapshot."""

    project_id: UUID
    name: str
    mode: Mode
    scopes: Collection[str] = (ALL_SCOPES,)
    networks: Collection[str] = ()
    expires_at: datetime | None = None
    created_by: UUID | None = None
    """None = the command line."""
    limits: KeyLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, without the key itself."""

    key_id: UUID
    project_id: UUID
    name: str
    mode: Mode
    prefix: str
    last4: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_to: UUID | None
    overlap_until: datetime | None
    last_used_at: datetime | None
    limits: KeyLimits = NO_LIMITS

    def ends_at(self) -> datetime | None:
        """When it stops working: at its expiry or at the end of the overlap after a rotation."""
        ends = [moment for moment in (self.expires_at, self.overlap_until) if moment is not None]
        return min(ends, default=None)

    def works(self, now: datetime) -> bool:
        """Whether it lets anyone in now."""
        ends_at = self.ends_at()
        return self.revoked_at is None and (ends_at is None or now < ends_at)


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key that was just made. `secret` exists only here."""

    key: Key
    secret: str = field(repr=False)
