"""The way of one request past the cache: looked up, fetched once for all who ask for the same, stored."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import orjson

from omni.contracts.snapshots import KeySnapshot
from omni.contracts.wire import ModelRequest
from omni.gateway.cache.embedder import Embedder
from omni.gateway.cache.entries import Entry, Hit
from omni.gateway.cache.flights import Flights, Turn
from omni.gateway.cache.keys import Wanted, is_cacheable, request_digest
from omni.gateway.cache.semantic import nearest, question_of
from omni.gateway.cache.store import Found, Near, ResponseStore
from omni.gateway.upstream.answers import deadline_exceeded

_POLL_SECONDS = (0.01, 0.02, 0.05, 0.1)
"""How often it is asked whether another process has fetched the answer."""


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom and how a request is looked up."""

    key: KeySnapshot
    seconds: int
    """How long the tenant's answers are kept."""
    threshold_per_mille: int | None
    scope: bytes
    """What besides the body has to be the same: mode, policies, region, tags."""
    cache_control: bytes
    request_id: UUID
    deadline: float
    """Loop time until which an answer of another request is waited for."""


class Look:
    """What became of a look-up. One with a `miss` has to be closed by `ResponseCache.close`."""

    __slots__ = ("asker", "digest", "found", "hit", "near", "outcome", "serial", "token")

    def __init__(self, outcome: Literal["miss", "bypass"], asker: Asker) -> None:
        self.outcome: Literal["exact", "semantic", "miss", "bypass"] = outcome
        self.asker = asker
        self.hit: Hit | None = None
        self.digest = ""
        self.found: Found | None = None
        self.near: Near | None = None
        self.token = ""
        self.serial: int | None = None
        """Of the flight that the request leads, if it does."""

    @property
    def stores(self) -> bool:
        """Whether the answer is wanted for the cache."""
        return self.found is not None

    def with_hit(self, hit: Hit) -> Look:
        self.hit = hit
        self.outcome = hit.kind
        self.found = None
        return self


class ResponseCache:
    """All look-ups of this process."""

    def __init__(self, store: ResponseStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._flights = Flights()
        self._loop = asyncio.get_running_loop()

    @property
    def entry_limit_bytes(self) -> int:
        return self._store.entry_limit_bytes

    async def look_up(self, asker: Asker, request: ModelRequest) -> Look:
        """Raises DeadlineExceeded where the answer of another request is waited for too long."""
        if not is_cacheable(request):
            return Look("bypass", asker)
        try:
            digest = request_digest(request, asker.scope)
        except orjson.JSONEncodeError:
            return Look("bypass", asker)  # nested deeper than can be written
        return await self.look_up_digest(asker, digest, request)

    async def look_up_digest(self, asker: Asker, digest: str, request: ModelRequest | None = None) -> Look:
        """The same by what makes a request the same as another; `request` where one that means the same will do."""
        wanted = Wanted(asker.cache_control)
        if not wanted.store:
            return Look("bypass", asker)
        look = Look("miss", asker)
        look.digest = digest
        if not wanted.read or wanted.max_age is not None:
            return await self._look_up_alone(look, wanted)
        key = f"{asker.key.tenant_id.hex}{look.digest}"
        turn = await self._flights.join(key, asker.deadline)
        if isinstance(turn, Hit):
            return look.with_hit(turn)
        if turn is Turn.ALONE:
            return look
        look.serial = self._flights.serial(key)
        try:
            return await self._lead(look, request)
        except BaseException:
            self._end(look, Turn.LEAD)
            raise

    async def close(self, look: Look, entry: Entry | None, *, served: bool) -> None:
        """Stores the answer of a miss, or says that there is none to store; `served` = it had an answer at all."""
        found = look.found
        if found is None:
            return
        keep = None
        if entry is not None and len(entry.body) <= self._store.entry_limit_bytes:
            keep = (entry, look.asker.seconds, look.near)
        outcome: Hit | Turn = Hit("exact", keep[0]) if keep is not None else Turn.ALONE if served else Turn.LEAD
        try:
            if not await self._store.store(look.asker.key.tenant_id, look.digest, look.token, found, keep):
                outcome = Turn.LEAD  # who waits asked after that, perhaps
        finally:
            self._end(look, outcome)

    def _end(self, look: Look, outcome: Hit | Turn) -> None:
        if look.serial is not None:
            self._flights.end(f"{look.asker.key.tenant_id.hex}{look.digest}", look.serial, outcome)
            look.serial = None

    async def _look_up_alone(self, look: Look, wanted: Wanted) -> Look:
        """A request that wants a fresh answer waits for nobody's."""
        found = await self._store.look_up(look.asker.key.tenant_id, look.digest, "")
        look.found = found
        if found is None or not wanted.read:
            look.outcome = "bypass"
        elif found.entry is not None and wanted.max_age is not None and found.entry.age_seconds <= wanted.max_age:
            return look.with_hit(Hit("exact", found.entry))
        return look

    async def _lead(self, look: Look, request: ModelRequest | None) -> Look:
        tenant_id = look.asker.key.tenant_id
        look.token = os.urandom(8).hex()
        turns = 0
        while True:
            found = await self._store.look_up(tenant_id, look.digest, look.token)
            if found is None:
                self._end(look, Turn.ALONE)
                look.outcome = "bypass"
                return look
            if found.entry is not None:
                return self._shared(look, Hit("exact", found.entry))
            if found.locked:
                break
            if self._loop.time() >= look.asker.deadline:
                raise deadline_exceeded()
            await asyncio.sleep(_POLL_SECONDS[min(turns, len(_POLL_SECONDS) - 1)])
            turns += 1
        look.found = found
        if request is not None and look.asker.threshold_per_mille is not None:
            hit = await self._like_it(look, request, look.asker.threshold_per_mille)
            if hit is not None:
                await self._store.store(tenant_id, look.digest, look.token, found, None)
                return self._shared(look, hit)
        return look

    def _shared(self, look: Look, hit: Hit) -> Look:
        self._end(look, hit)
        return look.with_hit(hit)

    async def _like_it(self, look: Look, request: ModelRequest, threshold_per_mille: int) -> Hit | None:
        """The answer to a question that means the same; without one, the vector is kept for others to find."""
        asker, found = look.asker, look.found
        assert found is not None
        question = question_of(request, asker.scope)
        if question is None:
            return None
        vector = await self._embedder.embed(question.text, asker.key, asker.request_id)
        if vector is None:
            return None
        tenant_id = asker.key.tenant_id
        stored = await self._store.vectors(tenant_id, found.generation, question.surroundings)
        for digest in nearest(stored, vector, threshold_per_mille):
            entry = await self._store.entry(tenant_id, found.generation, digest)
            if entry is not None:
                return Hit("semantic", entry)
        look.near = Near(question.surroundings, vector.pack(look.digest))
        return None
