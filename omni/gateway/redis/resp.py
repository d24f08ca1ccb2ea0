"""The Redis protocol on a raw connection: addresses, pipelined requests and replies (hiredis parses and packs)."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

Argument = bytes | str | int
OnReply = Callable[[Any], None]
"""Takes a reply, or the RedisUnavailable or RedisReplyError that there is instead. Never raises."""


_ReplyError = hiredis.ReplyError


class RedisUnavailable(Exception):
    """Redis cannot be asked now: not connected, cut off, or too slow."""


class RedisNotConnected(RedisUnavailable):
    """Nothing was sent."""


class RedisReplyError(Exception):
    """Redis answered with an error."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is and how to get in."""

    host: str
    port: int
    unix_path: str | None
    tls: bool
    username: str | None
    password: str | None = field(repr=False)
    database: int = 0

    @classmethod
    def from_url(cls, url: str) -> RedisAddress:
        """Reads `redis://`, `rediss://` and `unix://` URLs. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError(f"not a Redis URL: scheme {parts.scheme!r}")
        unix_path = unquote(parts.path) if parts.scheme == "unix" else None
        database = parse_qs(parts.query).get("db", ["0"])[0] if unix_path else parts.path.strip("/") or "0"
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or 6379,
            unix_path=unix_path,
            tls=parts.scheme == "rediss",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            database=int(database),
        )

    def handshake(self) -> list[tuple[Argument, ...]]:
        """The commands to send first."""
        commands: list[tuple[Argument, ...]] = []
        if self.password is not None:
            commands.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        return commands


def pack(command: tuple[Argument, ...]) -> bytes:
    """A command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows 1-tuples only
    return packed


def unpack(packed: bytes) -> list[bytes]:
    """The parts of a command that was packed."""
    reader = hiredis.Reader()
    reader.feed(packed)
    parts: list[bytes] = reader.gets()
    return parts


class RedisConnection:
    """One connection, an asyncio.Protocol. Commands issued in one turn of the event loop leave in one write. A call
    that is likely to stay alone leaves at once."""

    def __init__(self, on_lost: Callable[[RedisConnection], None], on_flush: Callable[[], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._on_flush = on_flush
        self._reader = hiredis.Reader()
        self._pending: deque[tuple[OnReply, float, bytes]] = deque()
        self.scripts: Sequence[tuple[Argument, ...]] = ()
        """Commands that load what Redis may have forgotten; then the call that missed it is sent once more."""
        self._unsent: list[bytes] = []
        self._batch_at = 0.0
        """Loop time at which the first of these was issued."""
        self._alone = True
        """Whether no other came in the turn of the last command that waited for its end: the next need not wait."""
        self._transport: asyncio.Transport | None = None
        self.on_push: Callable[[list[Any]], None] | None = None
        """When set, replies are pub/sub messages and belong to no command."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        pending, self._pending = self._pending, deque()
        self._on_lost(self)
        for on_reply, _sent_at, _again in pending:
            on_reply(RedisUnavailable("connection lost"))

    def eof_received(self) -> None:
        """Redis sends no more: the connection ends."""

    def pause_writing(self) -> None:
        """Commands are small, and Redis is given up on before many of them wait."""

    def resume_writing(self) -> None:
        """As above."""

    def data_received(self, data: bytes) -> None:
        next_reply, pending, on_push = self._reader.gets, self._pending, self.on_push
        try:
            self._reader.feed(data)
            while (reply := next_reply()) is not False:
                if on_push is not None:
                    on_push(reply)
                elif not pending:
                    self.abort()  # nothing was asked
                    return
                else:
                    on_reply, _, again = pending.popleft()
                    if isinstance(reply, _ReplyError):
                        self._failed(on_reply, str(reply), again)
                    else:
                        on_reply(reply)
        except hiredis.ProtocolError:
            self.abort()

    def _failed(self, on_reply: OnReply, error: str, again: bytes) -> None:
        if again and error.startswith("NOSCRIPT") and self._transport is not None:
            for command in self.scripts:
                self._queue(_ignore, pack(command), b"")
            self._queue(on_reply, again, b"")
        else:
            on_reply(RedisReplyError(error))

    def send(self, command: tuple[Argument, ...]) -> asyncio.Future[Any]:
        """Queues a command and returns its reply to be. Raises RedisUnavailable when the connection is gone."""
        if self._transport is None:
            raise RedisUnavailable("not connected")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue(partial(_resolve, future), pack(command), b"")
        return future

    def send_packed(self, command: bytes) -> asyncio.Future[Any]:
        """As `send`, of a call of a script, packed."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self.post_packed(command, partial(_resolve, future))
        return future

    def post_packed(self, command: bytes, on_reply: OnReply) -> None:
        """The same without a future: what waits is called in the turn in which the reply comes."""
        if self._transport is None:
            raise RedisUnavailable("not connected")
        if self._alone and not self._pending and not self._unsent:
            self._pending.append((on_reply, self._loop.time(), command))
            self._send(command)
            return
        if not self._unsent:
            self._begin_batch()
        self._pending.append((on_reply, self._batch_at, command))
        self._unsent.append(command)

    def _queue(self, on_reply: OnReply, command: bytes, again: bytes) -> None:
        if not self._unsent:
            self._begin_batch()
        self._pending.append((on_reply, self._batch_at, again))
        self._unsent.append(command)

    def _begin_batch(self) -> None:
        self._batch_at = self._loop.time()
        self._loop.call_soon(self._flush)

    def write(self, command: tuple[Argument, ...]) -> None:
        """Queues a command without waiting for a reply to it."""
        if not self._unsent:
            self._begin_batch()
        self._unsent.append(pack(command))

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        self._alone = len(unsent) == 1
        self._send(unsent[0] if self._alone else b"".join(unsent))

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            if self._on_flush is not None:
                self._on_flush()

    def oldest_sent_at(self) -> float | None:
        """Loop time at which the oldest command without reply was issued."""
        return self._pending[0][1] if self._pending else None

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _resolve(future: asyncio.Future[Any], reply: object) -> None:
    if future.done():
        return
    if isinstance(reply, RedisUnavailable | RedisReplyError):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _ignore(_: object) -> None:
    pass


async def connect(
    address: RedisAddress,
    protocol_factory: Callable[[], RedisConnection],
    timeout_seconds: float,
    prepare: Sequence[tuple[Argument, ...]] = (),
) -> RedisConnection:
    """Opens a connection, logs in and sends `prepare`.

    Raises OSError, TimeoutError, RedisUnavailable or RedisReplyError.
    """
    loop = asyncio.get_running_loop()
    connection = protocol_factory()

    def protocol() -> asyncio.Protocol:
        return cast(asyncio.Protocol, connection)

    async with asyncio.timeout(timeout_seconds):
        if address.unix_path is not None:
            await loop.create_unix_connection(protocol, address.unix_path)
        else:
            context = ssl.create_default_context() if address.tls else None
            await loop.create_connection(protocol, address.host, address.port, ssl=context)
        try:
            for command in (*address.handshake(), *prepare):
                await connection.send(command)
            await connection.send(("PING",))
        except BaseException:
            connection.abort()
            raise
    return connection
