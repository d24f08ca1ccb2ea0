"""The pools of connections to backends and providers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar, cast
from urllib.parse import urlsplit

from omni.gateway.config import GatewayConfig
from omni.gateway.upstream.answers import BackendResponse, ClientGone, DiedIdle, backend_unavailable, deadline_exceeded
from omni.gateway.upstream.connection import BackendConnection
from omni.gateway.upstream.known_answers import KnownAnswers
from omni.gateway.upstream.pace import Pace
from omni.gateway.upstream.uploading import UploadingConnection
from omni.kit.errors import OmniError

Connection = TypeVar("Connection", bound=BackendConnection)
_IDLE_SECONDS = 30.0
_RETRY_BACKEND_SECONDS = 1.0


class Backend:
    """One backend and the connections to it."""

    def __init__(self, url: str, config: GatewayConfig, *, ours: bool, pace: Pace | None = None) -> None:
        """`ours` are the platform's own: all headers of their answers are kept."""
        parts = urlsplit(url)
        self._ours = ours
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not a backend URL: {url!r}")
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self.authority = parts.netloc.encode("ascii")
        self.path = parts.path.rstrip("/").encode("ascii")
        self._buffered_limit_bytes = config.buffered_answer_limit_bytes
        self._connect_timeout_seconds = config.connect_timeout_seconds
        self._connections_limit = config.backend_connections_limit if ours else config.provider_connections_limit
        self._loop = asyncio.get_running_loop()
        self._idle: list[BackendConnection] = []
        self._all: set[BackendConnection] = set()
        self._opening = 0
        self._answers = KnownAnswers()
        self._pace = pace
        self.avoid_until = 0.0

    @property
    def busy(self) -> bool:
        """Whether a request is open."""
        return any(connection.busy for connection in self._all)

    def reuse(self) -> BackendConnection | None:
        """An idle connection that still lives, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def open(self) -> BackendConnection:
        """A new connection. Raises Unavailable `backend_unavailable`."""
        connection = BackendConnection(
            self, self._buffered_limit_bytes, repeated_headers=self._ours, answers=self._answers, pace=self._pace
        )
        return await self._connect(connection)

    async def open_for_upload(self) -> UploadingConnection:
        """The same for a body in pieces."""
        return await self._connect(UploadingConnection(self, self._buffered_limit_bytes))

    async def _connect(self, connection: Connection) -> Connection:
        if len(self._all) + self._opening >= self._connections_limit:
            raise backend_unavailable()
        self._opening += 1
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                await self._loop.create_connection(
                    lambda: cast(asyncio.Protocol, connection), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError):
            self.avoid_until = self._loop.time() + _RETRY_BACKEND_SECONDS
            raise backend_unavailable() from None
        finally:
            self._opening -= 1
        self._all.add(connection)
        return connection

    def release(self, connection: BackendConnection) -> None:
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    def forget(self, connection: BackendConnection) -> None:
        self._all.discard(connection)

    def sweep(self, now: float) -> None:
        """Ends requests past their deadline and connections idle for long."""
        self._answers.sweep()
        for connection in list(self._all):
            if connection.busy:
                if now >= connection.deadline:
                    connection.abort(deadline_exceeded())
            elif now - connection.idle_since > _IDLE_SECONDS:
                connection.close()

    def close(self) -> None:
        for connection in list(self._all):
            connection.abort(backend_unavailable())


async def send_to(
    backend: Backend,
    request: bytes,
    deadline: float,
    watch: Callable[[BackendConnection], None],
    opened: Callable[[], Awaitable[BackendConnection]] | None = None,
) -> BackendResponse:
    """Sends a whole request over an idle connection or a new one and returns its answer.

    `watch` is told the connection in use, so that its request can be aborted; a caller that is cancelled aborts it.
    Raises Unavailable, UpstreamFailed, DeadlineExceeded, or what the connection was aborted with.
    """
    connection = backend.reuse()
    while True:
        if connection is None:
            connection = await (backend.open() if opened is None else opened())
        answer = connection.send(request, deadline)
        watch(connection)
        try:
            return await answer
        except DiedIdle:  # of a reused one only
            connection = None
        except asyncio.CancelledError:
            connection.abort(ClientGone())
            raise


class Origins:
    """The pools of connections to providers, by base URL."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._origins: dict[str, Backend] = {}
        self._pace = Pace()

    def get(self, base_url: str) -> Backend:
        """Raises ValueError for what is no http or https URL."""
        origin = self._origins.get(base_url)
        if origin is None:
            origin = self._origins[base_url] = Backend(base_url, self._config, ours=False, pace=self._pace)
        return origin

    def keep_only(self, base_urls: set[str]) -> None:
        """Closes pools of providers that are gone, once nothing is open there."""
        for gone in self._origins.keys() - base_urls:
            if not self._origins[gone].busy:
                self._origins.pop(gone).close()

    def sweep(self, now: float) -> None:
        self._pace.sweep(now)
        for origin in self._origins.values():
            origin.sweep(now)

    def close(self) -> None:
        for origin in self._origins.values():
            origin.close()


class BackendPool:
    """All backends, taken in turn; one that could not be reached is passed over for a second."""

    def __init__(self, config: GatewayConfig) -> None:
        self._backends = [Backend(url, config, ours=True) for url in config.backend_urls]
        self._loop = asyncio.get_running_loop()
        self._turn = 0

    async def send(
        self,
        build: Callable[[bytes], bytes],
        deadline: float,
        watch: Callable[[BackendConnection], None],
    ) -> BackendResponse:
        """Sends `build(authority)` to a backend and returns its answer. Raises what `send_to` raises."""
        backend = self._next()
        return await send_to(backend, build(backend.authority), deadline, watch, lambda: self._open(backend))

    async def upload(
        self,
        build: Callable[[bytes], bytes],
        pieces: AsyncIterator[bytes],
        deadline: float,
        watch: Callable[[BackendConnection], None],
        *,
        chunked: bool,
    ) -> BackendResponse:
        """Sends `build(authority)` and then the pieces to a backend, over a connection of its own: what is sent once
        cannot be sent again. Raises what `BackendConnection.upload` raises."""
        backend = self._next()
        connection: UploadingConnection | None = None
        try:
            connection = await backend.open_for_upload()
        except OmniError:
            other = self._next()
            if other is backend:
                raise
            backend = other
        if connection is None:
            connection = await backend.open_for_upload()
        head = build(backend.authority)
        watch(connection)
        return await connection.upload(head, pieces, deadline, chunked=chunked)

    async def _open(self, backend: Backend) -> BackendConnection:
        try:
            return await backend.open()
        except OmniError:
            other = self._next()
            if other is backend:
                raise
        return await other.open()

    def _next(self) -> Backend:
        backends = self._backends
        if len(backends) == 1:
            return backends[0]
        now = self._loop.time()
        for _ in backends:
            self._turn = (self._turn + 1) % len(backends)
            if backends[self._turn].avoid_until <= now:
                break
        return backends[self._turn]

    def sweep(self, now: float) -> None:
        for backend in self._backends:
            backend.sweep(now)

    def close(self) -> None:
        for backend in self._backends:
            backend.close()
