"""A backend for tests: the real routers behind the real problem handlers, called as the gateway calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
from fastapi import APIRouter, FastAPI

from omni.contracts.principal import PRINCIPAL_HEADER, Principal
from omni.contracts.usage import USAGE_HEADER, parse_usage
from omni.foundation.http.problems import install_problem_handlers
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7

SECRET = b"principal secret of the tests"
DEADLINE_SECONDS = 120


@dataclass(slots=True)
class Backend:
    """Sends requests as one tenant."""

    app: FastAPI
    tenant_id: UUID = field(default_factory=uuid7)
    storage_bytes_limit: int | None = None
    models: frozenset[str] | None = None
    key_digest: str = ""

    async def send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """The response to a signed request; `request` is httpx2's (json, content, files, headers, params)."""
        headers = {PRINCIPAL_HEADER: self.principal(), **request.pop("headers", {})}
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://backend") as client:
            return await client.request(method, path, headers=headers, **request)

    async def post(self, path: str, body: object) -> httpx2.Response:
        return await self.send("POST", path, json=body)

    def principal(self, deadline_seconds: float = DEADLINE_SECONDS) -> str:
        """The signed header of a fresh request."""
        return Principal(
            request_id=uuid7(),
            tenant_id=self.tenant_id,
            project_id=uuid7(),
            mode="test",
            storage_bytes_limit=self.storage_bytes_limit,
            deadline_micros=unix_micros() + int(deadline_seconds * 1_000_000),
            models=self.models,
            key_digest=self.key_digest,
        ).sign(SECRET)


def backend(routers: Sequence[APIRouter]) -> Backend:
    """A backend with the given routers."""
    app = FastAPI()
    for router in routers:
        app.include_router(router)
    install_problem_handlers(app)
    return Backend(app)


def usage(response: httpx2.Response) -> dict[str, int]:
    """The quantities that a response reports."""
    return parse_usage(response.headers[USAGE_HEADER])


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Status and code of an error, of either shape."""
    body = response.json()
    return response.status_code, body["error"]["code"] if "error" in body else body["code"]
