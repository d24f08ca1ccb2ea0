"""The backend as production builds it, behind a gateway's smallest twin: a key becomes a signed principal."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from omni.contracts.principal import PRINCIPAL_HEADER, Principal
from omni.contracts.quotes import QUOTED_METERS
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7

KEY = "omni_test_of_the_fuzzer"
DEADLINE_SECONDS = 120
STORAGE_BYTES = 1_000_000_000
PRICES = dict.fromkeys(QUOTED_METERS, (20_000_000, 60_000))
"""Nano-units for how many units."""


@dataclass(slots=True)
class Front:
    """Signs requests that come with the key; serves the description of the API at `/openapi.json`, as the gateway
    does."""

    app: FastAPI
    secret: bytes
    tenant_id: UUID = field(default_factory=uuid7)
    project_id: UUID = field(default_factory=uuid7)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self.app
        if scope["type"] == "http":
            headers = [(name, value) for name, value in scope["headers"] if name != PRINCIPAL_HEADER.encode()]
            if (b"authorization", f"Bearer {KEY}".encode()) in headers:
                headers.append((PRINCIPAL_HEADER.encode(), self._principal().encode()))
            scope = {**scope, "headers": headers}
        await app(scope, receive, send)

    def _principal(self) -> str:
        return Principal(
            request_id=uuid7(),
            tenant_id=self.tenant_id,
            project_id=self.project_id,
            mode="test",
            storage_bytes_limit=STORAGE_BYTES,
            deadline_micros=unix_micros() + DEADLINE_SECONDS * 1_000_000,
            key_digest="0" * 64,
            currency="EUR",
            prices=PRICES,
        ).sign(self.secret)
