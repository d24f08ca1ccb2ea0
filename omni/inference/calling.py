"""Requests that we make at the gateway ourselves, for the key that asked for what needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx2
import orjson

from omni.contracts.delegation import DELEGATION_HEADER, Delegation
from omni.contracts.quotes import Terms
from omni.kit.clock import Clock
from omni.kit.errors import Unavailable

REQUEST_SECONDS = 150.0
"""Longer than the gateway lets a request take."""
OVERLOADED_STATUS = 503
_DELEGATION_MICROS = 60_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered."""

    status: int
    body: bytes
    retry_after_seconds: int | None

    @property
    def is_overload(self) -> bool:
        """Whether the gateway let others before: it has nothing against the request."""
        if self.status != OVERLOADED_STATUS:
            return False
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return False
        error = body.get("error", body) if isinstance(body, dict) else {}
        return isinstance(error, dict) and error.get("code") == "overloaded"


class Calls(Protocol):
    """Makes requests for a key."""

    async def send(
        self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, terms: Terms | None = None
    ) -> Reply:
        """`terms`: what a slice of a job may use; None = a request of a batch.

        Raises Unavailable when the gateway cannot be reached or does not answer.
        """
        ...


class Asks(Protocol):
    """Makes a request for a key that waits for its answer."""

    async def ask(self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, seconds: float) -> Reply:
        """At the usual prices. Raises Unavailable as `Calls.send`, and when there is no answer in time."""
        ...


class GatewayCalls:
    """Over HTTP to our own gateway."""

    def __init__(self, http: httpx2.AsyncClient, gateway_url: str, secret: bytes, clock: Clock) -> None:
        self._http = http
        self._url = gateway_url.rstrip("/")
        self._secret = secret
        self._clock = clock

    async def send(
        self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, terms: Terms | None = None
    ) -> Reply:
        delegation = Delegation(key_digest, request_id, self._until(), terms, in_batch=terms is None)
        return await self._post(path, body, delegation, REQUEST_SECONDS, {"omni-priority": "batch"})

    async def ask(self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, seconds: float) -> Reply:
        delegation = Delegation(key_digest, request_id, self._until())
        return await self._post(path, body, delegation, seconds, {})

    def _until(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000) + _DELEGATION_MICROS

    async def _post(
        self, path: str, body: dict[str, Any], delegation: Delegation, seconds: float, further: dict[str, str]
    ) -> Reply:
        headers = {DELEGATION_HEADER: delegation.sign(self._secret), "content-type": "application/json", **further}
        try:
            answer = await self._http.post(
                self._url + path, content=orjson.dumps(body), headers=headers, timeout=seconds
            )
        except httpx2.TransportError as error:
            raise Unavailable("gateway_unavailable", "The gateway cannot be reached.", internal=repr(error)) from error
        wait = answer.headers.get("retry-after", "")
        return Reply(answer.status_code, answer.content, int(wait) if wait.isdecimal() else None)
