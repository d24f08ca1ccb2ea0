"""The gateway's Redis client: auto-pipelined commands and scripts on one connection, pub/sub on a second."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

from omni.gateway.logs import Logger
from omni.gateway.redis.resp import (
    Argument,
    OnReply,
    RedisAddress,
    RedisConnection,
    RedisNotConnected,
    RedisReplyError,
    RedisUnavailable,
    connect,
    pack,
)

_CONNECT_TIMEOUT_SECONDS = 1.0
_BACKOFF_FIRST_SECONDS = 0.05
_BACKOFF_LAST_SECONDS = 1.0
_RECHECK_SECONDS = 0.005
_PUBSUB_PING_SECONDS = 1.0
_RESUBSCRIBE_SECONDS = (0.1, 0.3)
_PUBSUB_SILENCE_LIMIT_SECONDS = 3.0


LINE_END: Final = b"\r\n"
SIZES: Final = [b"\r\n$%d\r\n" % size for size in range(1_024)]
"""What stands before a short argument, by its size, from the end of the line before it."""


def bulk(size: int) -> bytes:
    """The same for an argument of any size."""
    return SIZES[size] if size < len(SIZES) else b"\r\n$%d\r\n" % size


class Script:
    """A Lua script that lies in a package, run by its digest."""

    def __init__(self, package: str, file_name: str) -> None:
        self.source = files(package).joinpath(file_name).read_bytes()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode("ascii")

    def pack(self, keys_and_args: Sequence[Argument]) -> bytes:
        """A call of it as it goes over the wire: number of keys, keys, arguments."""
        return pack((b"EVALSHA", self.sha, *keys_and_args))


class ScriptCall:
    """A call of a script of which only the last arguments change: all before them is packed once."""

    __slots__ = ("head",)

    def __init__(self, script: Script, keys: Sequence[bytes], fixed: Sequence[bytes], changing: int) -> None:
        """`fixed` are the first arguments; `changing` is how many follow them in each call."""
        first = (b"EVALSHA", script.sha, b"%d" % len(keys), *keys, *fixed)
        self.head = b"*%d" % (len(first) + changing) + b"".join([bulk(len(a)) + a for a in first])
        """The command as it goes over the wire, up to the line end before the first changing argument."""

    def pack(self, *last: bytes) -> bytes:
        """The command as it goes over the wire."""
        parts = [self.head]
        for argument in last:
            parts += (bulk(len(argument)), argument)
        return b"".join(parts) + LINE_END


class RedisClient:
    """Commands and scripts. While Redis is away or stalled every call raises RedisUnavailable at once.

    A command without reply within the timeout cuts the connection: what is queued behind it would only wait as long.
    """

    def __init__(
        self,
        url: str,
        scripts: Sequence[Script],
        *,
        timeout_seconds: float,
        on_flush: Callable[[], None],
        logger: Logger,
    ) -> None:
        self._address = RedisAddress.from_url(url)
        self._scripts = scripts
        self._timeout_seconds = timeout_seconds
        self._on_flush = on_flush
        self._logger = logger
        self._connection: RedisConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._up = asyncio.Event()
        self.on_connected: list[Callable[[], Awaitable[None]]] = []
        """Called after each successful connect."""

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def start(self) -> None:
        """Begins to connect, and to reconnect for ever."""
        self._task = asyncio.create_task(self._keep_connected(), name="gateway-redis")

    async def wait_connected(self, timeout_seconds: float) -> bool:
        """Whether Redis answered within the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._up.wait()
        return self.connected

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """The reply to be: it may raise RedisUnavailable (also raised here, when not connected) or RedisReplyError."""
        if self._connection is None:
            raise RedisNotConnected("not connected")
        return self._connection.send(command)

    def eval(self, script: Script, *keys_and_args: Argument) -> Awaitable[Any]:
        """Runs a script: number of keys, keys, arguments. Raises as `execute`."""
        return self.call(script.pack(keys_and_args))

    def call(self, packed: bytes) -> Awaitable[Any]:
        """Makes a ScriptCall, as packed. Raises as `execute`. A script that Redis has forgotten is loaded again."""
        if self._connection is None:
            raise RedisNotConnected("not connected")
        return self._connection.send_packed(packed)

    def post(self, packed: bytes, on_reply: OnReply) -> None:
        """As `call`, without anything to await. Raises RedisUnavailable as `execute` does."""
        connection = self._connection
        if connection is None:
            raise RedisNotConnected("not connected")
        connection.post_packed(packed, on_reply)

    async def _keep_connected(self) -> None:
        backoff_seconds = _BACKOFF_FIRST_SECONDS
        load = [(b"SCRIPT", b"LOAD", script.source) for script in self._scripts]
        while True:
            connection: RedisConnection | None = None
            try:
                connection = await connect(self._address, self._new_connection, _CONNECT_TIMEOUT_SECONDS, load)
            except (OSError, TimeoutError, RedisUnavailable, RedisReplyError) as error:
                self._logger.warning("redis_connect_failed", error=repr(error))
            if connection is None:
                await asyncio.sleep(backoff_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                backoff_seconds = min(backoff_seconds * 2, _BACKOFF_LAST_SECONDS)
                continue
            backoff_seconds = _BACKOFF_FIRST_SECONDS
            self._lost.clear()
            connection.scripts = load
            self._connection = connection
            self._up.set()
            announcing = asyncio.create_task(self._announce(), name="gateway-redis-connected")
            await self._watch(connection)
            await announcing

    async def _announce(self) -> None:
        for callback in self.on_connected:
            await callback()

    async def _watch(self, connection: RedisConnection) -> None:
        """Returns when the connection is lost; cuts it when a reply is overdue."""
        loop = asyncio.get_running_loop()
        while not self._lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_seconds / 4):
                    await self._lost.wait()
            if self._is_overdue(connection, loop.time()):
                # Replies may sit unread in the socket after a long turn of the loop: look again after one read.
                await asyncio.sleep(_RECHECK_SECONDS)
                if self._is_overdue(connection, loop.time()):
                    self._logger.warning("redis_stalled")
                    self._drop(connection)
                    connection.abort()

    def _is_overdue(self, connection: RedisConnection, now: float) -> bool:
        sent_at = connection.oldest_sent_at()
        return sent_at is not None and now - sent_at > self._timeout_seconds

    def _new_connection(self) -> RedisConnection:
        return RedisConnection(self._drop, self._on_flush)

    def _drop(self, connection: RedisConnection) -> None:
        if connection is self._connection:
            self._connection = None
            self._up.clear()
            self._lost.set()
            self._logger.warning("redis_lost")


class RedisSubscriber:
    """Listens to one channel on a connection of its own and says when it may have missed something."""

    def __init__(
        self,
        url: str,
        channel: str,
        *,
        on_message: Callable[[bytes], None],
        on_subscribed: Callable[[], None],
    ) -> None:
        self._address = RedisAddress.from_url(url)
        self._channel = channel
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._task: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self.subscribed = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_subscribed(), name="gateway-pubsub")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep_subscribed(self) -> None:
        while True:
            await self._subscribe()
            await asyncio.sleep(random.uniform(*_RESUBSCRIBE_SECONDS))  # noqa: S311 - jitter

    async def _subscribe(self) -> None:
        """Listens until the connection is lost, or silent for too long; returns at once where there is none."""
        lost = asyncio.Event()  # of this connection: the end of the one before may be told of only now
        try:
            connection = await connect(
                self._address, lambda: RedisConnection(lambda _: lost.set()), _CONNECT_TIMEOUT_SECONDS
            )
        except (OSError, TimeoutError, RedisUnavailable, RedisReplyError):
            return
        connection.on_push = self._on_push
        self._heard_at = asyncio.get_running_loop().time()
        try:
            connection.write((b"SUBSCRIBE", self._channel))
            await self._listen(connection, lost)
        finally:
            self.subscribed = False
            connection.abort()

    async def _listen(self, connection: RedisConnection, lost: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not lost.is_set() and loop.time() - self._heard_at < _PUBSUB_SILENCE_LIMIT_SECONDS:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PUBSUB_PING_SECONDS):
                    await lost.wait()
            connection.write((b"PING",))

    def _on_push(self, reply: list[Any]) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if reply[0] == b"message":
            self._on_message(reply[2])
        elif reply[0] == b"subscribe":
            self.subscribed = True
            self._on_subscribed()
