"""The cache in Redis: entries by generation and digest, vectors by digest of what surrounds them, and a lock each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from omni.contracts.redis_names import response_cache, response_cache_generation
from omni.gateway.cache.entries import Entry
from omni.gateway.config import GatewayConfig
from omni.gateway.redis.client import RedisClient, Script
from omni.gateway.redis.resp import RedisReplyError, RedisUnavailable

LOCK_SECONDS = 15.0
"""How long one request is waited for by others before one of them asks the provider, too."""
_ENTRIES_LIMIT = 10_000
VECTORS_LIMIT = 256


class CacheScripts:
    """The Lua scripts of the cache."""

    def __init__(self) -> None:
        self.lookup = Script(__package__, "lookup.lua")
        self.store = Script(__package__, "store.lua")

    def all(self) -> tuple[Script, ...]:
        return self.lookup, self.store


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up found. `generation` is to be handed back when storing."""

    generation: bytes
    entry: Entry | None
    locked: bool
    """Whether the caller has the lock, and so is the one to ask the provider."""


@dataclass(frozen=True, slots=True)
class Near:
    """A vector to be stored, and the list it belongs to."""

    name: str
    vector: bytes


class ResponseStore:
    """Reads and writes. While Redis is away nothing is found and nothing stored."""

    def __init__(self, redis: RedisClient, scripts: CacheScripts, config: GatewayConfig) -> None:
        self._redis = redis
        self._scripts = scripts
        self.entry_limit_bytes = config.cache_entry_limit_bytes
        self._tenant_limit_bytes = config.cache_tenant_limit_bytes

    async def look_up(self, tenant_id: UUID, digest: str, token: str) -> Found | None:
        """One round trip; takes the lock where there is no entry. None = Redis cannot be asked."""
        keys = (b"2", response_cache_generation(tenant_id), response_cache(tenant_id))
        try:
            reply = await self._redis.eval(self._scripts.lookup, *keys, digest, token, b"%d" % int(LOCK_SECONDS * 1000))
        except (RedisUnavailable, RedisReplyError):
            return None
        return Found(reply[0], _entry(reply[1]), bool(reply[2]))

    async def store(
        self, tenant_id: UUID, digest: str, token: str, found: Found, keep: tuple[Entry, int, Near | None] | None
    ) -> bool:
        """Gives the lock back and keeps an entry for so many seconds, with its vector; None = nothing to keep. False
        when everything was to be forgotten since the look-up."""
        keys = (b"2", response_cache_generation(tenant_id), response_cache(tenant_id))
        entry, seconds, near = keep if keep is not None else (None, 0, None)
        arguments = (
            digest, token, found.generation, entry.pack() if entry is not None else b"", b"%d" % (seconds * 1000),
            b"%d" % self._tenant_limit_bytes, b"%d" % _ENTRIES_LIMIT, near.name if near is not None else b"",
            near.vector if near is not None else b"", b"%d" % VECTORS_LIMIT,
        )  # fmt: skip
        try:
            stored = await self._redis.eval(self._scripts.store, *keys, *arguments)
        except (RedisUnavailable, RedisReplyError):
            return True  # the lock runs out by itself
        return entry is None or bool(stored)

    async def vectors(self, tenant_id: UUID, generation: bytes, name: str) -> Sequence[bytes]:
        """The newest vectors of a list."""
        return await self._read(b"LRANGE", self._name(tenant_id, generation, f"near:{name}"), b"0", b"-1") or ()

    async def entry(self, tenant_id: UUID, generation: bytes, digest: str) -> Entry | None:
        """An entry by its digest."""
        return _entry(await self._read(b"GET", self._name(tenant_id, generation, digest)))

    def _name(self, tenant_id: UUID, generation: bytes, rest: str) -> str:
        return f"{response_cache(tenant_id)}{generation.decode('ascii')}:{rest}"

    async def _read(self, *command: bytes | str) -> Any:
        try:
            return await self._redis.execute(*command)
        except (RedisUnavailable, RedisReplyError):
            return None


def _entry(data: bytes | None) -> Entry | None:
    try:
        return None if data is None else Entry.unpack(data)
    except (ValueError, KeyError):
        return None
