"""What the gateway knows of the control plane: small frozen records, published to Redis as JSON by the domains.

A reader ignores members that it does not know, so old and new code can run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson

Mode = Literal["live", "test"]

KEY_PREFIXES = ("omni_live_", "omni_test_")


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """An API key as the gateway sees it. The key itself is never stored, only its SHA-256."""

    key_id: UUID
    tenant_id: UUID
    project_id: UUID
    mode: Mode
    scopes: frozenset[str]
    """Scopes as in contracts.endpoints; `*` allows all."""
    networks: tuple[str, ...]
    """Allowed client networks in CIDR form; empty = any."""
    expires_at_micros: int | None
    """End of validity (expiry, or end of the overlap after a rotation), Unix microseconds; None = does not expire."""
    revoked: bool

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "key_id": self.key_id,
                "tenant_id": self.tenant_id,
                "project_id": self.project_id,
                "mode": self.mode,
                "scopes": sorted(self.scopes),
                "networks": self.networks,
                "expires_at_micros": self.expires_at_micros,
                "revoked": self.revoked,
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> KeySnapshot:
        row: dict[str, Any] = orjson.loads(data)
        return cls(
            key_id=UUID(row["key_id"]),
            tenant_id=UUID(row["tenant_id"]),
            project_id=UUID(row["project_id"]),
            mode=row["mode"],
            scopes=frozenset(row["scopes"]),
            networks=tuple(row["networks"]),
            expires_at_micros=row["expires_at_micros"],
            revoked=row["revoked"],
        )


@dataclass(frozen=True, slots=True)
class TenantSnapshot:
    """A tenant as the gateway sees it."""

    tenant_id: UUID
    plan_code: str
    active: bool
    """False = suspended: every request is refused."""

    def to_json(self) -> bytes:
        return orjson.dumps({"tenant_id": self.tenant_id, "plan_code": self.plan_code, "active": self.active})

    @classmethod
    def from_json(cls, data: bytes) -> TenantSnapshot:
        row: dict[str, Any] = orjson.loads(data)
        return cls(tenant_id=UUID(row["tenant_id"]), plan_code=row["plan_code"], active=row["active"])


@dataclass(frozen=True, slots=True)
class PlanSnapshot:
    """The limits of a plan. None means unlimited."""

    code: str
    requests_per_minute: int | None
    request_burst: int
    """How many requests may come at once when nothing came before."""
    tokens_per_minute: int | None
    requests_per_month: int | None
    compute_ms_per_month: int | None
    storage_bytes: int | None
    models: frozenset[str] | None
    """Names of the models that the plan may use; None = all."""

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "code": self.code,
                "requests_per_minute": self.requests_per_minute,
                "request_burst": self.request_burst,
                "tokens_per_minute": self.tokens_per_minute,
                "requests_per_month": self.requests_per_month,
                "compute_ms_per_month": self.compute_ms_per_month,
                "storage_bytes": self.storage_bytes,
                "models": None if self.models is None else sorted(self.models),
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> PlanSnapshot:
        row: dict[str, Any] = orjson.loads(data)
        return cls(
            code=row["code"],
            requests_per_minute=row["requests_per_minute"],
            request_burst=row["request_burst"],
            tokens_per_minute=row["tokens_per_minute"],
            requests_per_month=row["requests_per_month"],
            compute_ms_per_month=row["compute_ms_per_month"],
            storage_bytes=row["storage_bytes"],
            models=None if row["models"] is None else frozenset(row["models"]),
        )
