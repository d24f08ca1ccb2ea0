"""What the gateway knows of the control plane: small frozen records, published to Redis as JSON by the domains.

A reader ignores members that it does not know, so old and new code can run side by side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
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
    requests_per_minute: int | None = None
    """Limits of this key alone, within its plan's; None = only the plan's."""
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    models: frozenset[str] | None = None
    """Names of the models that the key may use, within its plan's; None = all."""

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
                "requests_per_minute": self.requests_per_minute,
                "tokens_per_minute": self.tokens_per_minute,
                "concurrent_requests": self.concurrent_requests,
                "models": None if self.models is None else sorted(self.models),
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
            requests_per_minute=row.get("requests_per_minute"),
            tokens_per_minute=row.get("tokens_per_minute"),
            concurrent_requests=row.get("concurrent_requests"),
            models=None if row.get("models") is None else frozenset(row["models"]),
        )


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """What happens to a tenant's requests and answers on their way. Everything off costs nothing."""

    personal_data: Literal["off", "redact", "block"] = "off"
    prompt_injection: Literal["off", "block"] = "off"
    moderation: Literal["off", "block"] = "off"
    allowed_models: tuple[str, ...] | None = None
    """Names or `prefix*`; None = all."""
    denied_models: tuple[str, ...] = ()
    max_output_tokens: int | None = None
    """What a request may ask for at most; more is lowered to it."""
    set_headers: tuple[tuple[str, str], ...] = ()
    """Header lines added to the answer."""

    @property
    def has_hooks(self) -> bool:
        """Whether anything is done to requests or answers, besides choosing models."""
        checks = (self.personal_data, self.prompt_injection, self.moderation)
        return checks != ("off", "off", "off") or self.max_output_tokens is not None or bool(self.set_headers)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> PolicySnapshot:
        """From its JSON object; members that are not known are ignored."""
        allowed = row.get("allowed_models")
        return cls(
            personal_data=row.get("personal_data", "off"),
            prompt_injection=row.get("prompt_injection", "off"),
            moderation=row.get("moderation", "off"),
            allowed_models=None if allowed is None else tuple(allowed),
            denied_models=tuple(row.get("denied_models", ())),
            max_output_tokens=row.get("max_output_tokens"),
            set_headers=tuple((name, value) for name, value in row.get("set_headers", ())),
        )


NO_POLICIES = PolicySnapshot()


@dataclass(frozen=True, slots=True)
class TenantSnapshot:
    """A tenant as the gateway sees it."""

    tenant_id: UUID
    plan_code: str
    active: bool
    """False = suspended: every request is refused."""
    policies: PolicySnapshot = field(default_factory=lambda: NO_POLICIES)
    cache_seconds: int = 0
    """How long answers may be replayed to the tenant from the response cache; 0 = not at all."""
    semantic_threshold_per_mille: int | None = None
    """Least cosine similarity, in thousandths, at which another question's answer is replayed; None = never."""

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "tenant_id": self.tenant_id,
                "plan_code": self.plan_code,
                "active": self.active,
                "policies": asdict(self.policies),
                "cache_seconds": self.cache_seconds,
                "semantic_threshold_per_mille": self.semantic_threshold_per_mille,
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> TenantSnapshot:
        row: dict[str, Any] = orjson.loads(data)
        policies = row.get("policies")
        return cls(
            tenant_id=UUID(row["tenant_id"]),
            plan_code=row["plan_code"],
            active=row["active"],
            policies=PolicySnapshot.from_row(policies) if policies else NO_POLICIES,
            cache_seconds=row.get("cache_seconds", 0),
            semantic_threshold_per_mille=row.get("semantic_threshold_per_mille"),
        )


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
    concurrent_requests: int | None = None
    """Requests and streams that a tenant may have open at once."""

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
                "concurrent_requests": self.concurrent_requests,
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
            concurrent_requests=row.get("concurrent_requests"),
        )
