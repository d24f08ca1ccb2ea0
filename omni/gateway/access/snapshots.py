"""What the gateway knows of keys, tenants and plans, and how long it believes it.

| state | what happens at the next use |
|---|---|
| fresh (30 s after it was read) | used as it is |
| older, or stale since a gap in the invalidations | read again first; used for 10 min while Redis is away |
| invalidated by name | forgotten; read again |
| missing | believed missing for 2 s, where Redis is known to hold every snapshot |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from omni.contracts import redis_names
from omni.gateway.config import GatewayConfig
from omni.gateway.redis.client import RedisClient
from omni.gateway.redis.resp import RedisReplyError, RedisUnavailable
from omni.kit.errors import Unavailable

_NEGATIVE_SECONDS = 2.0
_NEGATIVE_ENTRIES_LIMIT = 10_000

T = TypeVar("T")


def snapshots_unavailable() -> Unavailable:
    """The answer while it cannot be known whether a key is good."""
    return Unavailable(
        "snapshots_unavailable", "Keys cannot be checked just now. Try again shortly.", retry_after_seconds=2
    )


class _Entry(Generic[T]):
    __slots__ = ("fetched_at", "stale", "value")

    def __init__(self, value: T, fetched_at: float, *, stale: bool) -> None:
        self.value = value
        self.fetched_at = fetched_at
        self.stale = stale


class SnapshotCache(Generic[T]):
    """One kind of snapshot by its Redis name: bounded, oldest read goes first; one read at a time per name."""

    def __init__(
        self,
        redis: RedisClient,
        decode: Callable[[bytes], T],
        config: GatewayConfig,
        *,
        missing: T | None = None,
    ) -> None:
        """`missing` is what a name stands for that is known to be missing, where that is usual."""
        self._missing = missing
        self._redis = redis
        self._decode = decode
        self._fresh_seconds = config.snapshot_fresh_seconds
        self._stale_seconds = config.snapshot_stale_seconds
        self._limit = config.snapshot_entries_limit
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, _Entry[T]] = {}
        self._missing_until: dict[str, float] = {}
        self._reads: dict[str, asyncio.Task[T | None]] = {}
        self._invalidations = 0

    def peek(self, name: str) -> tuple[T, float] | None:
        """The value and the loop time until which it is fresh, or None."""
        entry = self._entries.get(name)
        if entry is None or entry.stale:
            return None
        fresh_until = entry.fetched_at + self._fresh_seconds
        return (entry.value, fresh_until) if self._loop.time() < fresh_until else None

    async def get(self, name: str) -> T | None:
        """The value; None when it is sure that there is none. Raises Unavailable `snapshots_unavailable`."""
        known = self.peek(name)
        if known is not None:
            return known[0]
        if self._missing_until.get(name, 0.0) > self._loop.time():
            return None
        read = self._reads.get(name)
        if read is None:
            read = self._reads[name] = asyncio.create_task(self._read(name))
            read.add_done_callback(lambda _: self._reads.pop(name, None))
        return await asyncio.shield(read)

    def invalidate(self, name: str) -> None:
        """Forgets one entry: what was known of it is known to be wrong."""
        self._invalidations += 1
        self._entries.pop(name, None)
        self._missing_until.pop(name, None)

    def replace(self, name: str, value: T | None) -> None:
        """Takes a value that came another way; None = there is none. It is asked for again when Redis can be asked."""
        self._invalidations += 1
        if value is None:
            self._entries.pop(name, None)
        else:
            self._store(name, _Entry(value, self._loop.time(), stale=True))

    def mark_stale(self) -> None:
        """Trusts nothing without asking again, but keeps it for when nobody can be asked."""
        self._invalidations += 1
        for entry in self._entries.values():
            entry.stale = True
        self._missing_until.clear()

    async def _read(self, name: str) -> T | None:
        invalidations = self._invalidations
        try:
            value_reply = self._redis.execute(b"GET", name)
            ready_reply = self._redis.execute(b"EXISTS", redis_names.SNAPSHOTS_READY)
            data, ready = await asyncio.gather(value_reply, ready_reply)
        except (RedisUnavailable, RedisReplyError):
            return self._last_known(name)
        if data is not None or (ready and self._missing is not None):
            value = self._missing if data is None else self._decode(data)
            assert value is not None
            # An invalidation that came while reading may be about what was just read.
            self._store(name, _Entry(value, self._loop.time(), stale=invalidations != self._invalidations))
            return value
        if not ready:
            return self._last_known(name)
        self._entries.pop(name, None)
        if len(self._missing_until) >= _NEGATIVE_ENTRIES_LIMIT:
            self._missing_until.clear()
        self._missing_until[name] = self._loop.time() + _NEGATIVE_SECONDS
        return None

    def _store(self, name: str, entry: _Entry[T]) -> None:
        self._missing_until.pop(name, None)
        self._entries.pop(name, None)
        if len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[name] = entry

    def _last_known(self, name: str) -> T:
        entry = self._entries.get(name)
        if entry is None or self._loop.time() - entry.fetched_at > self._stale_seconds:
            raise snapshots_unavailable()
        return entry.value
