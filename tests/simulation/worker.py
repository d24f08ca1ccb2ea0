"""The worker's side: the real Drain and Counters on a client that speaks to the simulated Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisDown
from redis.exceptions import ResponseError

from tests.simulation.redis import SimRedis

if TYPE_CHECKING:
    from tests.simulation.world import World


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class WorkerClient:
    """The few commands of redis-py that metering uses. Raises ConnectionError while Redis is down."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._breaks_at: bytes | None = None

    def hang_up_before(self, command: bytes) -> None:
        """The next pipeline with this command is not carried out."""
        self._breaks_at = command

    def check(self) -> SimRedis:
        if not self._world.redis_up:
            raise RedisDown("down")
        return self._world.redis

    def carry_out(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        breaks_at, self._breaks_at = self._breaks_at, None
        if breaks_at is not None and any(command[0] == breaks_at for command in commands):
            raise RedisDown("hung up")
        redis = self.check()
        if any(command[0] == b"SET" for command in commands):
            replies: list[Any] = self._world.books.falling(lambda: redis.transaction(*commands))
            return replies
        return redis.transaction(*commands)

    def register_script(self, source: str) -> Callable[..., Awaitable[Any]]:
        reaps = "ZRANGEBYSCORE" in source
        code = self._world.source("reap" if reaps else "raise", source.encode())

        async def run(*, keys: Sequence[str], args: Sequence[object]) -> Any:
            names, values = [_bytes(key) for key in keys], [_bytes(arg) for arg in args]
            redis = self.check()
            return self._world.reap(code, names, values) if reaps else redis.run(code, names, values)

        return run

    async def xgroup_create(self, stream: str, *_: object, **__: object) -> None:
        self.check().make_group(stream.encode())

    async def xreadgroup(
        self, _: str, consumer: str, streams: dict[str, str], *, count: int, block: int
    ) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
        redis, batches = self.check(), []
        for stream in streams:
            found = redis.read_group(stream.encode(), consumer.encode(), count)
            if found is None:
                raise ResponseError("NOGROUP No such consumer group")
            if found:
                batches.append((stream.encode(), [(each, {b"e": event}) for each, event in found]))
        return batches

    async def xautoclaim(self, stream: str, *_: object, min_idle_time: int, count: int) -> tuple[bytes, list[Any]]:
        found = self.check().claim(stream.encode(), min_idle_time, count)
        return b"0-0", [(each, {b"e": event}) for each, event in found]

    def pipeline(self, *, transaction: bool) -> _Pipeline:
        return _Pipeline(self)


class _Pipeline(AbstractAsyncContextManager["_Pipeline"]):
    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._commands: list[tuple[Any, ...]] = []

    async def __aexit__(self, *_: object) -> None:
        return

    def exists(self, key: str) -> None:
        self._commands.append((b"EXISTS", key.encode()))

    def set(self, key: str, value: object, ex: int | None = None) -> None:
        ttl = () if ex is None else (b"EX", ex)
        self._commands.append((b"SET", key.encode(), _bytes(value), *ttl))

    def xack(self, stream: str, group: str, *ids: bytes) -> None:
        self._commands.append((b"XACK", stream.encode(), group.encode(), *ids))

    def xdel(self, stream: str, *ids: bytes) -> None:
        self._commands.append((b"XDEL", stream.encode(), *ids))

    async def execute(self) -> list[Any]:
        return self._client.carry_out(self._commands)
