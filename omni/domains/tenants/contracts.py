"""What others may know of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from omni.contracts.snapshots import NO_POLICIES, PolicySnapshot
from omni.foundation.authz import Role

TenantStatus = Literal["active", "suspended"]


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """A member's admission to a tenant."""

    tenant_id: UUID
    user_id: UUID
    role: Role


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What the gateways do to a tenant's requests besides serving them; members as in TenantSnapshot."""

    policies: PolicySnapshot = NO_POLICIES
    cache_seconds: int = 0
    semantic_threshold_per_mille: int | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> GatewaySettings:
        """From its JSON; what is missing is off."""
        return cls(
            PolicySnapshot.from_row(row.get("policies") or {}),
            row.get("cache_seconds", 0),
            row.get("semantic_threshold_per_mille"),
        )


@dataclass(frozen=True, slots=True)
class NewSignUp:
    """A person and the tenant they open. `verified` is for those whose address an operator vouches for."""

    email: str
    password_hash: str
    tenant_name: str
    plan_code: str = "free"
    verified: bool = False
    is_operator: bool = False


@dataclass(frozen=True, slots=True)
class SignedUp:
    """What a sign-up made."""

    user_id: UUID
    tenant_id: UUID
    project_id: UUID


@dataclass(frozen=True, slots=True)
class Tenant:
    """A company that buys."""

    tenant_id: UUID
    name: str
    plan_code: str
    status: TenantStatus
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A tenant and what a user is in it."""

    tenant: Tenant
    role: Role


@dataclass(frozen=True, slots=True)
class Project:
    """A part of a tenant that has its own keys and usage."""

    project_id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a tenant."""

    user_id: UUID
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """An address that was asked to join."""

    invitation_id: UUID
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime
