"""The public door: HTTP/1.1 on a raw transport, strict about what it reads, answers in order."""

from __future__ import annotations

import asyncio
from collections import deque
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, cast

import httptools

from omni.gateway.edge.errors import HeadersTooLarge, MethodNotAllowed, RequestTimeout
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.handshake import is_opening
from omni.gateway.edge.heads import SINGLE_HEADERS, WANTED_HEADERS, check_head, is_http_1_0, malformed
from omni.gateway.edge.known_heads import KnownHead
from omni.gateway.edge.routes import Route
from omni.gateway.edge.shared import Server
from omni.gateway.upstream.answers import ClientGone
from omni.kit.errors import InvalidInput, OmniError, TooLarge

_LINGER_SECONDS: Final = 2.0
_STREAMED_BYTES: Final = 512 * 1024  # most of a streamed body that is held for a backend that takes it more slowly
_PIPELINE_LIMIT: Final = 16
_UNLIKE_MOST: Final = 8
"""So many heads of a connection are learned: one that changes each time is not worth it."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ServerConnection:
    """One client connection, an asyncio.Protocol. Requests are parsed ahead and answered one after the other."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._config = server.config
        self._loop = server.loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._reading: Exchange | None = None
        self._active: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._since = self._loop.time()
        self._in_head = False
        self._head_bytes = 0
        self._body_seen = 0
        """How much of a body there was when more of a request came last."""
        self._known: KnownHead | None = None
        """The head that is expected again."""
        self._unlike = 0
        """How many heads were learned."""
        self._lingering = False
        self._upgrading = False
        self._read_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._stalled_since = 0.0
        self.write_paused = False
        """Whether the client takes what is written more slowly than it comes."""
        self.peer: IPv4Address | IPv6Address | None = None

    # --- transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit
        peer = transport.get_extra_info("peername")
        if peer:
            address = ip_address(peer[0].partition("%")[0])
            self.peer = getattr(address, "ipv4_mapped", None) or address
        self.server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self.server.connections.discard(self)
        self._wake_writer()
        active, self._active = self._active, None
        self._queue.clear()
        if active is not None:
            active.client_left()

    def eof_received(self) -> None:
        """The client sends no more: the connection ends."""

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            if self._upgrading:
                self.abort()  # it has to wait for the answer to its handshake
            return
        known = self._known
        idle = self._active is None and self._reading is None
        if idle and known is not None and (body := known.body_in(data, known.route.max_body_bytes)) is not None:
            self._since = self._loop.time()
            self._active = exchange = Exchange(self, self._since)
            exchange.take_known(known, body)
            self.server.run(exchange)
            return
        self._since_if_idle()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._begin_upgrade(nothing_behind=upgrade.args[0] == len(data))
        except httptools.HttpParserInvalidMethodError:
            self._refuse_reading(MethodNotAllowed("DELETE, GET, PATCH, POST, PUT"))
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse_reading(cause if isinstance(cause, OmniError) else malformed(str(error)))
        if self._reading is not None:
            self._look_for_progress(self._reading, len(data))
        elif idle and len(self._queue) == 1 and self._unlike < _UNLIKE_MOST:
            self._unlike += 1
            self._known = self.server.known_heads.learn(data, self._queue[0])
        self._advance()
        if len(self._queue) >= _PIPELINE_LIMIT:
            self._pause_reading()

    def _look_for_progress(self, exchange: Exchange, size: int) -> None:
        # An endless header or trailer never reaches on_header, and the parser keeps what there is of it.
        if not self._in_head and (exchange.body_bytes != self._body_seen or exchange.refusal or exchange.route is None):
            self._body_seen = exchange.body_bytes
            self._head_bytes = 0
            return
        self._head_bytes += size
        if self._head_bytes > 2 * self._config.header_limit_bytes:
            self._refuse_reading(_head_too_large())

    def _since_if_idle(self) -> None:
        # The head has to be complete within its time from the first byte; a body only has to keep moving.
        if not self._in_head:
            self._since = self._loop.time()

    def pause_writing(self) -> None:
        self.write_paused = True
        self._stalled_since = self._loop.time()

    def resume_writing(self) -> None:
        self.write_paused = False
        self._wake_writer()

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # --- parser ---

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._since = self._loop.time()
        self._reading = Exchange(self, self._since)

    def on_url(self, url: bytes) -> None:
        assert self._reading is not None
        self._head_bytes += len(url)
        if self._head_bytes > self._config.header_limit_bytes:
            raise _head_too_large()
        self._reading.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._config.header_limit_bytes:
            raise _head_too_large()
        exchange = self._reading
        if exchange is None or not self._in_head:
            return  # trailers
        name = name.lower()
        if name in WANTED_HEADERS:
            if name in exchange.headers:
                if name in SINGLE_HEADERS:
                    raise malformed(f"repeated {name!r}")
                value = exchange.headers[name] + b", " + value
            exchange.headers[name] = value

    def on_headers_complete(self) -> None:
        exchange = self._reading
        assert exchange is not None
        self._in_head = False
        self._head_bytes = 0
        headers = exchange.headers
        exchange.method = self._parser.get_method()
        exchange.keep_alive = self._parser.should_keep_alive()
        version = self._parser.get_http_version()
        if version != "1.1":
            exchange.http_1_0 = is_http_1_0(version)
        if self._parser.should_upgrade():
            self._check_upgrade(exchange)
        check_head(exchange)
        exchange.path = exchange.target.partition(b"?")[0]
        exchange.expects_continue = headers.get(b"expect", b"").lower() == b"100-continue" and not exchange.http_1_0
        try:
            exchange.route = self.server.routes.match(exchange.method, exchange.path)
            exchange.body_limit = exchange.route.max_body_bytes
        except OmniError:
            pass  # the pipeline answers, without the body
        if exchange.route is not None and int(headers.get(b"content-length", b"0")) > exchange.body_limit:
            exchange.refuse(_body_too_large(exchange.route))
        self._queue.append(exchange)

    def _check_upgrade(self, exchange: Exchange) -> None:
        # The parser takes what follows for the new protocol's, a body too: nobody may read it as HTTP.
        alone = self._active is None and not self._queue and not exchange.http_1_0
        if not alone or not is_opening(exchange.method, exchange.target, exchange.headers):
            raise InvalidInput("upgrade_not_supported", "This server does not switch protocols: leave out Upgrade.")

    def on_body(self, data: bytes) -> None:
        exchange = self._reading
        assert exchange is not None
        if exchange.refusal is not None or exchange.route is None:
            return
        exchange.body_bytes += len(data)
        if exchange.body_bytes > exchange.body_limit:
            exchange.refuse(_body_too_large(exchange.route))
            return
        exchange.body_parts.append(data)
        if exchange.route.streamed:
            exchange.body_progress()
            if len(exchange.body_parts) > 1 and sum(map(len, exchange.body_parts)) > _STREAMED_BYTES:
                self._pause_reading()

    def on_message_complete(self) -> None:
        exchange, self._reading = self._reading, None
        assert exchange is not None
        exchange.complete = True
        exchange.body_progress()

    def _refuse_reading(self, error: OmniError) -> None:
        """Nothing after this point of the connection can be understood."""
        exchange = self._reading or Exchange(self, self._loop.time())
        self._reading = None
        self._in_head = False
        self._lingering = True
        self._since = self._loop.time()
        if exchange is not self._active and exchange not in self._queue:
            self._queue.append(exchange)
        exchange.refuse(error)

    # --- WebSockets ---

    def _begin_upgrade(self, *, nothing_behind: bool) -> None:
        """The connection's last request, alone on it, is an opening handshake."""
        self._lingering = self._upgrading = True
        self._active = exchange = self._queue.popleft()
        exchange.keep_alive = False
        if not nothing_behind:
            exchange.refuse(malformed("bytes behind an opening handshake"))
        self.server.run_upgrade(exchange)

    def hand_over(self, protocol: asyncio.Protocol, head: bytes) -> asyncio.Transport:
        """Answers with this head and gives the connection to another protocol. Raises ClientGone."""
        transport, self._transport = self._transport, None
        if transport is None:
            raise ClientGone
        self.server.connections.discard(self)
        transport.write(head)
        transport.set_protocol(protocol)
        return transport

    # --- one after the other ---

    def _advance(self) -> None:
        if self._active is None and self._queue and self._transport is not None:
            self._active = self._queue.popleft()
            self.server.run(self._active)

    def finished(self, exchange: Exchange) -> None:
        """The pipeline is done with the active exchange."""
        if exchange is not self._active:
            return
        self._active = None
        if not exchange.keep_alive:
            self._end(already_all_read=exchange.complete)
            return
        self._since = self._loop.time()
        if not self._queue and not self._read_paused:
            return
        if self._read_paused and len(self._queue) < _PIPELINE_LIMIT // 2 and self._transport is not None:
            self._read_paused = False
            self._transport.resume_reading()
        self._advance()

    def _end(self, *, already_all_read: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        self._queue.clear()
        if already_all_read or not transport.can_write_eof():
            transport.close()
            return
        # Closing with unread input would reset the connection and take the answer with it.
        self._lingering = True
        self._since = self._loop.time()
        transport.write_eof()
        if self._read_paused:
            transport.resume_reading()

    def read_on(self) -> None:
        """What was held of a streamed body is taken: there is room for more."""
        if self._read_paused and not self._lingering and len(self._queue) < _PIPELINE_LIMIT // 2:
            self._read_paused = False
            self._since = self._loop.time()
            if self._transport is not None:
                self._transport.resume_reading()

    def _pause_reading(self) -> None:
        if not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()

    # --- writing ---

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def write_continue(self) -> None:
        self.write(_CONTINUE)

    async def drain_writes(self) -> None:
        """Returns when the client has taken enough of what was written. Raises ClientGone."""
        if self.write_paused and self._transport is not None:
            self._drained = self._loop.create_future()
            await self._drained
        if self._transport is None:
            raise ClientGone

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close_if_idle(self) -> None:
        if self._active is None and not self._queue and self._transport is not None:
            self._transport.close()

    # --- time ---

    def sweep(self, now: float) -> None:
        """Ends the connection, or the request that comes in too slowly, when its time is over."""
        config = self._config
        waited = now - self._since
        if self.write_paused and now - self._stalled_since > config.write_stall_timeout_seconds:
            self.abort()
        elif self._lingering:
            if self._active is None and waited > _LINGER_SECONDS:
                self.abort()
        elif self._read_paused:
            pass  # it is us who do not read
        elif self._in_head:
            if waited > config.header_timeout_seconds:
                self._refuse_reading(RequestTimeout("header_timeout", "The request's head took too long to arrive."))
                self._advance()
        elif self._reading is not None:
            if waited > config.body_idle_timeout_seconds:
                self._refuse_reading(RequestTimeout("body_timeout", "The request's body stopped arriving."))
                self._advance()
        elif waited > config.keep_alive_seconds:
            self.close_if_idle()


def _head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge("headers_too_large", "The request's target and headers are too large.")


def _body_too_large(route: Route | None) -> TooLarge:
    limit = route.max_body_bytes if route is not None else 0
    return TooLarge(
        "body_too_large", f"The body is larger than the {limit} bytes that this route reads.", limit_bytes=limit
    )
