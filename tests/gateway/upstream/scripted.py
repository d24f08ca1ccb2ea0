"""A provider that says what a test wants, byte by byte, and a backend in front of it."""

from __future__ import annotations

import asyncio

from omni.gateway.upstream.answers import BackendResponse
from omni.gateway.upstream.pools import Backend, send_to

_REQUEST = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n"


class ScriptedProvider:
    """Serves connections until it is stopped."""

    def __init__(self) -> None:
        self.connections = 0
        self.left = asyncio.Event()
        """The other side ended a connection first."""
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Its base URL."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n") and await self.say(writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()

    async def say(self, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; whether the connection goes on."""
        raise NotImplementedError


async def asked(backend: Backend) -> BackendResponse:
    """The answer to a request."""
    return await send_to(backend, _REQUEST, asyncio.get_running_loop().time() + 5, lambda _: None)
