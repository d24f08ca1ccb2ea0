"""One request and its answer, as the pipeline sees them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from omni.contracts.quotes import Terms
from omni.gateway.edge.routes import Route
from omni.gateway.edge.trace import Trace
from omni.gateway.upstream.answers import ClientGone
from omni.kit.errors import OmniError
from omni.kit.ids import uuid7_text
from omni.telemetry.spans import RequestSpans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omni.gateway.edge.known_heads import KnownHead
    from omni.gateway.edge.server import ServerConnection
    from omni.gateway.routing.ways import Served

PRIORITY_HEADER: Final = b"omni-priority"
_BATCH: Final = b"batch"
STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode("ascii")) for status in HTTPStatus
}


class Watched(Protocol):
    """A connection that works for requests, one after the other."""

    serial: int

    def abort_request(self, serial: int, error: Exception) -> None:
        """Ends the request of this number, if it is still being served."""
        ...


class Exchange:
    """Filled by the server while the request comes in; answered by the pipeline exactly once."""

    __slots__ = (
        "_backends",
        "_body_waiter",
        "_left_out",
        "body_bytes",
        "body_limit",
        "body_parts",
        "complete",
        "connection",
        "expects_continue",
        "gone",
        "headers",
        "http_1_0",
        "in_batch",
        "keep_alive",
        "known",
        "method",
        "path",
        "refusal",
        "request_id",
        "route",
        "started_at",
        "status",
        "streaming_since",
        "target",
        "terms",
        "trace",
        "tried",
        "waited_seconds",
    )  # fmt: skip

    def __init__(self, connection: ServerConnection, started_at: float) -> None:
        self.connection = connection
        self.started_at = started_at
        self.request_id = uuid7_text()
        self.method = b""
        self.known: KnownHead | None = None
        """Its head, when it came with one that was read before."""
        self.target = b""
        self.path = b""
        self.headers: dict[bytes, bytes] = {}
        self.http_1_0 = False
        self.keep_alive = True
        self.expects_continue = False
        self.body_limit = 0
        self.body_bytes = 0
        self.body_parts: list[bytes] = []
        self.complete = False
        self.refusal: OmniError | None = None
        self.route: Route | None = None
        self.trace: Trace | None = None
        self.status = 0
        self.streaming_since: float | None = None
        """When an answer that is not one piece began; loop time."""
        self.tried: Sequence[Served] = ()
        """Calls to providers of models that were made for it."""
        self.waited_seconds: float | None = None
        """How long it waited for an engine, as the backend says."""
        self.gone = False
        self.in_batch = False
        """Whether it is a part of a batch, and costs what that costs."""
        self.terms: Terms | None = None
        """What it may use at which prices, when it is a slice of a job."""
        self._left_out = False
        self._backends: list[tuple[Watched, int]] = []
        self._body_waiter: asyncio.Future[None] | None = None

    def take_known(self, known: KnownHead, body: bytes) -> None:
        """The request came whole, under a head that is known."""
        self.method, self.target, self.path = known.method, known.target, known.path
        self.headers, self.route = known.headers, known.route
        self.known = known
        self.body_bytes = len(body)
        self.body_parts = [body]
        self.complete = True

    @property
    def is_batch(self) -> bool:
        """Whether the client said that the request may wait behind others."""
        return self.headers.get(PRIORITY_HEADER) == _BATCH

    def begin_trace(self, spans: RequestSpans | None = None) -> Trace:
        """The trace that the request belongs to, taken from the client or begun."""
        if self.trace is None:
            self.trace = Trace(self.headers.get(b"traceparent"), spans, left_out=self._left_out)
        return self.trace

    def is_traced(self, spans: RequestSpans) -> bool:
        """Whether its spans are exported. Most are not, and have no ids until a log or a provider asks for them."""
        if self.trace is None and not self._left_out:
            if b"traceparent" in self.headers:
                return self.begin_trace(spans).sampled
            if chosen_id := spans.sampled_id():
                self.trace = Trace(None, chosen_id=chosen_id)
            else:
                self._left_out = True
        return self.trace is not None and self.trace.sampled

    def ids(self) -> dict[str, str]:
        """What each line of the log says of the request that it is about."""
        trace = self.begin_trace()
        return {
            "request_id": self.request_id,
            "trace_id": trace.trace_id.decode("ascii"),
            "span_id": trace.span_id.decode("ascii"),
        }

    async def body(self) -> bytes:
        """The whole body. Raises the error that the server met while reading it, or ClientGone."""
        if not self.complete and self.refusal is None and not self.gone:
            self.wants_body()
            self._body_waiter = asyncio.get_running_loop().create_future()
            await self._body_waiter
        if self.refusal is not None:
            raise self.refusal
        if self.gone:
            raise ClientGone
        parts = self.body_parts
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def more(self) -> bytes:
        """What came of the body since it was last asked for, b"" at its end; the client is read on. Raises what `body`
        raises."""
        while True:
            if self.refusal is not None:
                raise self.refusal
            if self.gone:
                raise ClientGone
            if self.body_parts:
                piece = b"".join(self.body_parts)
                self.body_parts.clear()
                self.connection.read_on()
                return piece
            if self.complete:
                return b""
            self._body_waiter = asyncio.get_running_loop().create_future()
            await self._body_waiter

    def wants_body(self) -> None:
        """Tells a client that waits for it that its body is awaited."""
        if self.expects_continue and not self.body_bytes and not self.complete:
            self.connection.write_continue()

    def body_progress(self) -> None:
        """Wakes the pipeline: there is more of the body, it is complete, refused or will never come."""
        if self._body_waiter is not None and not self._body_waiter.done():
            self._body_waiter.set_result(None)

    def refuse(self, error: OmniError) -> None:
        """The request cannot be read on: it is answered with this error and the connection closes."""
        if self.refusal is None:
            self.refusal = error
        self.keep_alive = False
        self.body_parts.clear()
        self.body_progress()

    def watch(self, backend: Watched) -> None:
        """Says that a backend connection works for this request, to be aborted when the client leaves."""
        self._backends.append((backend, backend.serial))
        if self.gone:
            backend.abort_request(backend.serial, ClientGone())

    def client_left(self) -> None:
        self.gone = True
        self.body_progress()
        for backend, serial in self._backends:
            backend.abort_request(serial, ClientGone())

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """Answers whole, in one write. `headers` are complete lines."""
        self.status = status
        server = self.connection.server
        if self.keep_alive and self.complete and status == 200 and not self.http_1_0 and not server.draining:
            self.connection.write(
                b"HTTP/1.1 200 OK\r\ndate: %b\r\nx-request-id: %b\r\n%bcontent-length: %d\r\n\r\n%b"
                % (server.date, self.request_id.encode("ascii"), headers, len(body), body)
            )
            return
        if not self.complete:
            self.keep_alive = False
        head = self._head(status, headers)
        if status == 204:
            self.connection.write(b"%b\r\n" % head)
        else:
            self.connection.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    def begin_stream(self, status: int, headers: bytes, content_length: int | None) -> bool:
        """Starts an answer of unknown or great length; returns whether its pieces are to be framed as chunks."""
        self.status = status
        self.streaming_since = asyncio.get_running_loop().time()
        if not self.complete:
            self.keep_alive = False
        if content_length is not None:
            framing, chunked = b"content-length: %d\r\n" % content_length, False
        elif self.http_1_0:
            self.keep_alive = False
            framing, chunked = b"", False
        else:
            framing, chunked = b"transfer-encoding: chunked\r\n", True
        self.connection.write(b"%b%b\r\n" % (self._head(status, headers), framing))
        return chunked

    def _head(self, status: int, headers: bytes) -> bytes:
        server = self.connection.server
        if server.draining:
            self.keep_alive = False
        if not self.keep_alive:
            persistence = b"connection: close\r\n"
        elif self.http_1_0:
            persistence = b"connection: keep-alive\r\n"
        else:
            persistence = b""
        return b"%bdate: %b\r\nx-request-id: %b\r\n%b%b" % (
            STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status,
            server.date,
            self.request_id.encode("ascii"),
            persistence,
            headers,
        )
