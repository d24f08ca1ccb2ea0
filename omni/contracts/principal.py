"""Who the backend works for: a principal, signed by the gateway, good for one request."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from omni.contracts.snapshots import Mode

PRINCIPAL_HEADER = "omni-principal"


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

    def sign(self, secret: bytes) -> str:
        """The header value: base64url JSON, a dot, base64url HMAC-SHA256."""
        body = urlsafe_b64encode(
            orjson.dumps(
                {
                    "request_id": self.request_id,
                    "tenant_id": self.tenant_id,
                    "project_id": self.project_id,
                    "mode": self.mode,
                    "storage_bytes_limit": self.storage_bytes_limit,
                    "deadline_micros": self.deadline_micros,
                    "models": None if self.models is None else sorted(self.models),
                }
            )
        )
        return (body + b"." + urlsafe_b64encode(hmac.digest(secret, body, hashlib.sha256))).decode("ascii")

    @classmethod
    def verify(cls, value: str, secret: bytes, now_micros: int) -> Principal:
        """The principal of a header value. Raises InvalidPrincipal."""
        body, _, signature = value.encode("ascii", "replace").partition(b".")
        expected = urlsafe_b64encode(hmac.digest(secret, body, hashlib.sha256))
        if not hmac.compare_digest(signature, expected):
            raise InvalidPrincipal("signature does not match")
        row: dict[str, Any] = orjson.loads(urlsafe_b64decode(body))
        if now_micros > row["deadline_micros"]:
            raise InvalidPrincipal("deadline is over")
        return cls(
            request_id=UUID(row["request_id"]),
            tenant_id=UUID(row["tenant_id"]),
            project_id=UUID(row["project_id"]),
            mode=row["mode"],
            storage_bytes_limit=row["storage_bytes_limit"],
            deadline_micros=row["deadline_micros"],
            models=None if row.get("models") is None else frozenset(row["models"]),
        )
