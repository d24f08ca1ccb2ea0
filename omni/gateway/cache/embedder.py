"""Vectors of questions, from the platform's own embedding model."""

from __future__ import annotations

import asyncio
import base64
import struct
from uuid import UUID

import orjson

from omni.contracts.principal import PRINCIPAL_HEADER, Principal
from omni.contracts.snapshots import KeySnapshot
from omni.gateway.cache.semantic import Vector
from omni.gateway.upstream.answers import ClientGone
from omni.gateway.upstream.connection import BackendConnection
from omni.gateway.upstream.pools import BackendPool
from omni.kit.clock import unix_micros
from omni.kit.errors import OmniError

MODEL = "all-MiniLM-L6-v2"
_TIMEOUT_SECONDS = 0.15
_LIMIT_BYTES = 64 * 1024
_PRINCIPAL_LINE = PRINCIPAL_HEADER.encode("ascii")


class Embedder:
    """Asks the backend, for a short time: a vector that is late is of no use."""

    def __init__(self, backends: BackendPool, principal_secret: bytes) -> None:
        self._backends = backends
        self._secret = principal_secret
        self._loop = asyncio.get_running_loop()

    async def embed(self, text: str, key: KeySnapshot, request_id: UUID) -> Vector | None:
        """The vector; None when there is none in time. Nobody is billed for it."""
        opened: list[tuple[BackendConnection, int]] = []
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await self._ask(text, key, request_id, opened)
        except TimeoutError:
            for connection, serial in opened:
                connection.abort_request(serial, ClientGone())
        except (OmniError, ValueError, KeyError, IndexError, TypeError, struct.error):
            pass  # a backend that cannot embed makes every question a new one
        return None

    async def _ask(
        self, text: str, key: KeySnapshot, request_id: UUID, opened: list[tuple[BackendConnection, int]]
    ) -> Vector | None:
        deadline_micros = unix_micros() + int(_TIMEOUT_SECONDS * 1_000_000)
        # The cache may compare questions whatever models the plan has.
        principal = Principal(request_id, key.tenant_id, key.project_id, key.mode, 0, deadline_micros, None)
        signed = principal.sign(self._secret).encode("ascii")
        body = orjson.dumps({"model": MODEL, "input": text, "encoding_format": "base64"})

        def build(authority: bytes) -> bytes:
            return (
                b"POST /v1/embeddings HTTP/1.1\r\nhost: %b\r\n%b: %b\r\nomni-deadline-micros: %d\r\n"
                b"x-request-id: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            ) % (authority, _PRINCIPAL_LINE, signed, deadline_micros, str(request_id).encode(), len(body), body)

        response = await self._backends.send(
            build,
            self._loop.time() + _TIMEOUT_SECONDS,
            lambda connection: opened.append((connection, connection.serial)),
        )
        answer = await response.read_whole(_LIMIT_BYTES)
        if response.status != 200:
            return None
        data = base64.b64decode(orjson.loads(answer)["data"][0]["embedding"])
        return Vector(struct.unpack(f"<{len(data) // 4}f", data))
