"""The client to the backends: pooled keep-alive connections on httptools, answers whole or as a stream."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools

from omni.gateway.config import GatewayConfig
from omni.kit.errors import DeadlineExceeded, OmniError, Unavailable, UpstreamFailed

_HEAD_LIMIT_BYTES = 64 * 1024
_STREAM_HIGH_WATER_BYTES = 256 * 1024
_IDLE_SECONDS = 30.0
_RETRY_BACKEND_SECONDS = 1.0


class ClientGone(Exception):
    """The client left; nobody waits for the answer."""


class _DiedIdle(Exception):
    """A reused connection ended before the first byte of an answer: the request may go out once more."""


def backend_unavailable() -> Unavailable:
    """The answer while no backend can be reached."""
    return Unavailable("backend_unavailable", "The service is being restarted or is overloaded. Try again shortly.")


def backend_failed(internal: str) -> UpstreamFailed:
    """The answer when a backend breaks its own answer."""
    return UpstreamFailed("backend_failed", "The service did not answer correctly. Try again.", internal=internal)


def deadline_exceeded() -> DeadlineExceeded:
    """The answer when the time for a request is over."""
    return DeadlineExceeded("deadline_exceeded", "The request took too long.")


class BackendResponse:
    """An answer. `body` is whole, or None for a stream to be read; `content_length` is None when it is not declared."""

    __slots__ = ("_connection", "body", "content_length", "headers", "status")

    def __init__(self, connection: BackendConnection) -> None:
        self._connection = connection
        self.status = connection.status
        self.headers = connection.headers
        self.content_length = connection.content_length
        self.body: bytes | None = None

    async def read(self) -> bytes:
        """The next bytes of a stream, b"" at its end. Raises UpstreamFailed, DeadlineExceeded or ClientGone."""
        return await self._connection.read()


class BackendConnection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, pool: Backend, buffered_limit_bytes: int) -> None:
        self._pool = pool
        self._buffered_limit_bytes = buffered_limit_bytes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[BackendResponse] | None = None
        self._reader: asyncio.Future[None] | None = None
        self.deadline = 0.0
        self.serial = 0
        """Which request of the connection is being served, counted from 1."""
        self.idle_since = 0.0
        self.busy = False
        self.reused = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.content_length: int | None = None
        self._head_bytes = 0
        self._chunked = False
        self._keep_alive = True
        self._received = False
        self._complete = False
        self._streaming = False
        self._extra = False
        self._error: Exception | None = None
        self._parts: deque[bytes] = deque()
        self._parts_bytes = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, deadline: float) -> asyncio.Future[BackendResponse]:
        """Sends a whole request and returns its answer to be."""
        assert self._transport is not None
        self.deadline = deadline
        self.busy = True
        self.serial += 1
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return self._answer

    async def read(self) -> bytes:
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._complete:
                return b""
            self._reader = self._loop.create_future()
            await self._reader
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._parts_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def abort(self, error: Exception) -> None:
        """Ends the connection and whatever waits for it, with this error."""
        self._fail(error)
        if self._transport is not None:
            self._transport.abort()

    def abort_request(self, serial: int, error: Exception) -> None:
        """Aborts only while that request is being served: the connection may serve another one by now."""
        if self.busy and self.serial == serial:
            self.abort(error)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if self._complete or self._error is not None:
            return
        self._error = error
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.busy and not self._complete:
            until_close = self._streaming and self.content_length is None and not self._chunked
            if until_close and exc is None:
                self._complete = True
                self._wake_reader()
            elif not self._received:
                self._fail(_DiedIdle() if self.reused else backend_unavailable())
            else:
                self._fail(backend_failed("connection lost within the answer"))
        self._pool.forget(self)

    def data_received(self, data: bytes) -> None:
        if not self.busy:
            self.close()  # nothing was asked
            return
        self._received = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._extra = True
            if not self._complete:
                self.abort(backend_failed(f"unreadable answer: {error}"))
                return
        if self._complete:
            self._finish()

    def _finish(self) -> None:
        """The whole answer is here: hands the connection back, unless it said more than was asked."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            response = BackendResponse(self)
            response.body = b"".join(self._parts)
            answer.set_result(response)
        if self._streaming:
            self._wake_reader()
            self.close()  # its buffer may still be read; a new request needs a clean one
            return
        self.busy = False
        if self._extra or not self._keep_alive:
            self.close()
            return
        self.reused = True
        self._reset()
        self._pool.release(self)

    def on_message_begin(self) -> None:
        if self._complete:
            self._extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._extra or self._streaming:
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _HEAD_LIMIT_BYTES:
            raise ValueError("head too large")
        name = name.lower()
        if name == b"content-length":
            self.content_length = int(value)
        elif name == b"transfer-encoding":
            self._chunked = True
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._extra:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        self._keep_alive = self._parser.should_keep_alive()
        bodiless = self.status in (204, 304)
        small = self.content_length is not None and self.content_length <= self._buffered_limit_bytes
        if not (bodiless or small) and self._answer is not None and not self._answer.done():
            self._streaming = True
            self._answer.set_result(BackendResponse(self))

    def on_body(self, data: bytes) -> None:
        if self._extra:
            return
        self._parts.append(data)
        if not self._streaming:
            return
        self._parts_bytes += len(data)
        self._wake_reader()
        if self._parts_bytes > _STREAM_HIGH_WATER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._extra:
            return
        if self.status < 200:
            self.headers.clear()
            return
        self._complete = True


class Backend:
    """One backend and the connections to it."""

    def __init__(self, url: str, config: GatewayConfig) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not a backend URL: {url!r}")
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self.authority = parts.netloc.encode("ascii")
        self._buffered_limit_bytes = config.buffered_answer_limit_bytes
        self._connect_timeout_seconds = config.connect_timeout_seconds
        self._connections_limit = config.backend_connections_limit
        self._loop = asyncio.get_running_loop()
        self._idle: list[BackendConnection] = []
        self._all: set[BackendConnection] = set()
        self._opening = 0
        self.avoid_until = 0.0

    def reuse(self) -> BackendConnection | None:
        """An idle connection that still lives, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def open(self) -> BackendConnection:
        """A new connection. Raises Unavailable `backend_unavailable`."""
        if len(self._all) + self._opening >= self._connections_limit:
            raise backend_unavailable()
        self._opening += 1
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                _, connection = await self._loop.create_connection(
                    lambda: BackendConnection(self, self._buffered_limit_bytes), self._host, self._port, ssl=self._tls
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
        for connection in list(self._all):
            if connection.busy:
                if now >= connection.deadline:
                    connection.abort(deadline_exceeded())
            elif now - connection.idle_since > _IDLE_SECONDS:
                connection.close()

    def close(self) -> None:
        for connection in list(self._all):
            connection.abort(backend_unavailable())


class BackendPool:
    """All backends, taken in turn; one that could not be reached is passed over for a second."""

    def __init__(self, config: GatewayConfig) -> None:
        self._backends = [Backend(url, config) for url in config.backend_urls]
        self._loop = asyncio.get_running_loop()
        self._turn = 0

    async def send(
        self,
        build: Callable[[bytes], bytes],
        deadline: float,
        watch: Callable[[BackendConnection], None],
    ) -> BackendResponse:
        """Sends `build(authority)` to a backend and returns its answer.

        `watch` is told the connection in use, so that its request can be aborted. Raises Unavailable, UpstreamFailed,
        DeadlineExceeded, or what the connection was aborted with.
        """
        backend = self._next()
        request = build(backend.authority)
        connection = backend.reuse()
        if connection is not None:
            answer = connection.send(request, deadline)
            watch(connection)
            try:
                return await answer
            except _DiedIdle:
                pass
        connection = await self._open(backend)
        answer = connection.send(request, deadline)
        watch(connection)
        return await answer

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
