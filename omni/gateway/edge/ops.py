"""The operators' port: metrics, liveness and readiness for scrapers and supervisors."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from omni.gateway.edge.public import LIVE_BODY, Checks, readiness

_REQUEST_LIMIT_BYTES = 8 * 1024
_TIMEOUT_SECONDS = 5.0


class OpsServer:
    """A handler for one GET per connection, kept apart from the public parser."""

    def __init__(self, registry: CollectorRegistry, checks: Checks) -> None:
        self._registry = registry
        self._checks = checks
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=_REQUEST_LIMIT_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, content_type, body = self._answer(head)
                writer.write(
                    b"HTTP/1.1 %d \r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                    % (status, content_type, len(body), body)
                )
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is not listening
        finally:
            writer.close()

    def _answer(self, head: bytes) -> tuple[int, bytes, bytes]:
        first, *headers = head.split(b"\r\n")
        request_line = first.split(b" ")
        path = request_line[1].partition(b"?")[0] if len(request_line) == 3 and request_line[0] == b"GET" else b""
        if path == b"/metrics":
            accept = next((line[7:] for line in headers if line[:7].lower() == b"accept:"), b"")
            encode, content_type = choose_encoder(accept.decode("latin-1").strip())
            return 200, content_type.encode(), encode(self._registry)
        if path == b"/livez":
            return 200, b"application/json", LIVE_BODY
        if path == b"/readyz":
            status, body = readiness(self._checks())
            return status, b"application/json", body
        return 404, b"text/plain", b"not found\n"
