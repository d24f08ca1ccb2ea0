"""Who the backend works for: a principal, signed by the gateway, good for one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from omni.contracts import signed
from omni.contracts.snapshots import Mode

PRINCIPAL_HEADER = "omni-principal"
_KIND = b""


class InvalidPrincipal(Exception):
    """The principal is missing, was not signed with our key, or is out of date."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The tenant and project that a request acts for, and the entitlements that the backend itself has to hold."""

    request_id: UUID
    tenant_id: UUID
    project_id: UUID
    mode: Mode
    storage_bytes_limit: int | None
    """What the tenant may store in all; None = unlimited."""
    deadline_micros: int
    """Unix microseconds; the principal is not accepted later than this, and no answer is worth anything after it."""
    models: frozenset[str] | None = None
    """Names of the models that may be asked for; None = all."""
    key_id: UUID | None = None
    """The API key that was used; None where there is none."""
    key_digest: str = ""
    """SHA-256 of that key, hex: what a job needs to go on for it (`omni.contracts.delegation`)."""
    currency: str = ""
    prices: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Meter → nano-units for how many units, today: only where the endpoint quotes a price."""

    def sign(self, secret: bytes) -> str:
        """The header's value."""
        row: dict[str, Any] = {
            "request_id": self.request_id,
            "tenant_id": self.tenant_id,
            "project_id": self.project_id,
            "mode": self.mode,
            "storage_bytes_limit": self.storage_bytes_limit,
            "deadline_micros": self.deadline_micros,
            "models": None if self.models is None else sorted(self.models),
            "key_id": self.key_id,
            "key_digest": self.key_digest,
        }
        if self.prices:
            row["quote"] = {"currency": self.currency, "prices": dict(self.prices)}
        return signed.sign(_KIND, row, secret)

    @classmethod
    def verify(cls, value: str, secret: bytes, now_micros: int) -> Principal:
        """The principal of a header value. Raises InvalidPrincipal."""
        try:
            row = signed.verify(_KIND, value, secret)
        except signed.InvalidSignature as error:
            raise InvalidPrincipal("signature does not match") from error
        if now_micros > row["deadline_micros"]:
            raise InvalidPrincipal("deadline is over")
        quote = row.get("quote") or {"currency": "", "prices": {}}
        return cls(
            request_id=UUID(row["request_id"]),
            tenant_id=UUID(row["tenant_id"]),
            project_id=UUID(row["project_id"]),
            mode=row["mode"],
            storage_bytes_limit=row["storage_bytes_limit"],
            deadline_micros=row["deadline_micros"],
            models=None if row.get("models") is None else frozenset(row["models"]),
            key_id=UUID(row["key_id"]) if row.get("key_id") else None,
            key_digest=row.get("key_digest", ""),
            currency=quote["currency"],
            prices={meter: (nanos, per) for meter, (nanos, per) in quote["prices"].items()},
        )
