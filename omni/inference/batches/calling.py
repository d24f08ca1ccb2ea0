"""The requests of batches, made at the gateway for the key that asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx2
import orjson

from omni.contracts.delegation import DELEGATION_HEADER, Delegation
from omni.kit.clock import Clock
from omni.kit.errors import Unavailable

REQUEST_SECONDS = 150.0
"""Longer than the gateway lets a request take."""
_DELEGATION_MICROS = 60_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered."""

    status: int
    body: bytes
    retry_after_seconds: int | None


class Calls(Protocol):
    """Makes requests for a key."""

    async def send(self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID) -> Reply:
        """Raises Unavailable when the gateway cannot be reached or does not answer."""
        ...


class GatewayCalls:
    """Over HTTP to our own gateway."""

    def __init__(self, http: httpx2.AsyncClient, gateway_url: str, secret: bytes, clock: Clock) -> None:
        self._http = http
        self._url = gateway_url.rstrip("/")
        self._secret = secret
        self._clock = clock

    async def send(self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID) -> Reply:
        now_micros = int(self._clock.now().timestamp() * 1_000_000)
        delegation = Delegation(key_digest, request_id, now_micros + _DELEGATION_MICROS)
        headers = {
            DELEGATION_HEADER: delegation.sign(self._secret),
            "content-type": "application/json",
            "omni-priority": "batch",
        }
        try:
            answer = await self._http.post(
                self._url + path, content=orjson.dumps(body), headers=headers, timeout=REQUEST_SECONDS
            )
        except httpx2.TransportError as error:
            raise Unavailable("gateway_unavailable", "The gateway cannot be reached.", internal=repr(error)) from error
        wait = answer.headers.get("retry-after", "")
        return Reply(answer.status_code, answer.content, int(wait) if wait.isdecimal() else None)
