"""What is done when more is asked for than can be served: as much as possible goes on being served, fast.

Two things can be short. The *engines* behind the gateway: `Gate` lets only as many requests to them at once as they
serve without becoming slow, and shares these among tenants. And *this process*: `LoadGuard` sheds a share of the
requests while its event loop lags. Both refuse at once, with Retry-After, and requests of the class `batch` first.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from uuid import UUID

from omni.contracts.usage import WAIT_HEADER
from omni.kit.errors import Unavailable

_LIMIT_LEAST, _LIMIT_MOST = 4.0, 1024.0
_WAIT_TARGET_SECONDS = 0.18
"""So long a request may wait for an engine, on average: at 80 % of what mixed requests may ask of two engines they wait
about 100 ms."""
_BURST_SECONDS = 0.5
"""So long they may wait longer: a burst is worked off, only what lasts is too much (as CoDel has it; RFC 8289)."""
_DECREASE_MOST = 0.7
_WAIT_WEIGHT = 0.1
_WAITING_MOST = 64
_WAIT_SECONDS = 0.05
"""So long a tenant with less than its share waits for a place, which it gets before all others."""
_BATCH_SHARE = 0.5
"""Of the places, what requests of the class `batch` may take while others want them."""

_LAG_TOLERATED_SECONDS = 0.25
_LAG_FULL_SECONDS = 1.0
_LAG_WEIGHT = 0.2
_BATCH_LAG = 0.4
"""Batch requests are shed at this share of the lag at which others are."""


OVERLOADED = "overloaded"
WAIT = WAIT_HEADER.encode("ascii")


def overloaded() -> Unavailable:
    """The answer to what is shed."""
    return Unavailable("overloaded", "More is asked for than can be served just now.", retry_after_seconds=1)


def waited_seconds(said: bytes) -> float | None:
    """How long a request waited for an engine, from the header WAIT; None where it says nothing."""
    return int(said) / 1000 if said.isdigit() and len(said) < 10 else None


class _Waiting:
    __slots__ = ("batch", "granted", "tenant")

    def __init__(self, tenant: UUID, batch: bool, granted: asyncio.Future[None]) -> None:
        self.tenant = tenant
        self.batch = batch
        self.granted = granted


class Place:
    """One request's place at the engines, to be left exactly once."""

    __slots__ = ("batch", "entered_at", "tenant")

    def __init__(self, tenant: UUID, batch: bool, entered_at: float) -> None:
        self.tenant = tenant
        self.batch = batch
        self.entered_at = entered_at


class Gate:
    """An adaptive limit of requests at the engines, shared fairly.

    The engines say with each answer how long it waited for one of them. While that is little the limit grows, when it
    stays too long it shrinks. When every place is taken, a tenant with less than its share of them waits for a moment,
    others are refused.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = _LIMIT_MOST
        self._open = 0
        self._open_batch = 0
        self._held: tuple[dict[UUID, int], dict[UUID, int]] = ({}, {})
        """Places by tenant: of interactive requests, and of batch."""
        self._wait = 0.0
        """Moving average of how long requests waited for an engine, seconds."""
        self._lowered_at = 0.0
        self._in_time_at = self._loop.time()
        """When that was last as little as it should be."""
        self._waiting: deque[_Waiting] = deque()

    @property
    def limit(self) -> int:
        """How many requests may be with the engines now."""
        return int(self._limit)

    @property
    def open(self) -> int:
        """How many are."""
        return self._open

    async def enter(self, tenant: UUID, *, batch: bool) -> Place:
        """Raises Unavailable `overloaded`, after a few milliseconds at most."""
        if self._has_room(batch) and not self._waiting:
            return self._take(tenant, batch)
        if len(self._waiting) >= _WAITING_MOST or self._held[batch].get(tenant, 0) >= self._share(tenant, batch):
            raise overloaded()
        waiting = _Waiting(tenant, batch, self._loop.create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await waiting.granted
        except BaseException as error:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif waiting.granted.done() and not waiting.granted.cancelled():  # granted in the very turn of its end
                self.leave(Place(tenant, batch, 0.0))
            if isinstance(error, TimeoutError):
                raise overloaded() from None
            raise
        return Place(tenant, batch, self._loop.time())

    def leave(self, place: Place, waited_seconds: float | None = None) -> None:
        """The request is over; `waited_seconds` is what the engines said, where they did."""
        if waited_seconds is not None:
            self._learn(waited_seconds, place.entered_at)
        self._open -= 1
        self._open_batch -= place.batch
        places = self._held[place.batch]
        places[place.tenant] -= 1
        if not places[place.tenant]:
            del places[place.tenant]
        if self._waiting:
            self._grant()

    def _has_room(self, batch: bool) -> bool:
        return self._open < self._limit and (not batch or self._open_batch < self._limit * _BATCH_SHARE)

    def _share(self, tenant: UUID, batch: bool) -> float:
        """Of the places for its class, among the tenants that want some."""
        wanting = self._held[batch].keys() | {each.tenant for each in self._waiting if each.batch == batch} | {tenant}
        return max(1.0, self._limit * (_BATCH_SHARE if batch else 1.0) / len(wanting))

    def _take(self, tenant: UUID, batch: bool) -> Place:
        self._open += 1
        self._open_batch += batch
        places = self._held[batch]
        places[tenant] = places.get(tenant, 0) + 1
        return Place(tenant, batch, self._loop.time())

    def _grant(self) -> None:
        """Hands free places to those who wait: not batch first, then who holds least, then who waits longest."""
        while self._waiting and self._open < self._limit:
            first = min(self._waiting, key=lambda each: (each.batch, self._held[each.batch].get(each.tenant, 0)))
            if not self._has_room(first.batch):
                return
            self._waiting.remove(first)
            if not first.granted.done():
                self._take(first.tenant, first.batch)
                first.granted.set_result(None)

    def _learn(self, waited_seconds: float, entered_at: float) -> None:
        now = self._loop.time()
        self._wait += _WAIT_WEIGHT * (waited_seconds - self._wait)
        if self._wait <= _WAIT_TARGET_SECONDS:
            self._in_time_at = now
            if self._limit < _LIMIT_MOST:
                self._limit += 1.0 if 4 * self._wait < _WAIT_TARGET_SECONDS else 1 / self._limit
        elif now - self._in_time_at > _BURST_SECONDS and entered_at > self._lowered_at:
            # What was let in before the limit was last lowered says nothing of it.
            self._lowered_at = now
            factor = max(_DECREASE_MOST, _WAIT_TARGET_SECONDS / self._wait)
            self._limit = max(_LIMIT_LEAST, min(self._limit, self._open) * factor)


class LoadGuard:
    """Sheds load while the event loop is late: the more it lags, the larger a share of requests is refused."""

    def __init__(self, open_limit: int) -> None:
        """`open_limit`: how many requests may be open at most, whatever the lag."""
        self._random = random.Random()  # noqa: S311 - chooses whom to refuse, keeps no secret
        self._open_limit = open_limit
        self._full = False
        self._lag = 0.0
        self.active = False
        """Whether anything is shed at all: nothing else has to be asked while it is False."""

    @property
    def lag_seconds(self) -> float:
        """How late the event loop is, of late."""
        return self._lag

    def tick(self, late_seconds: float, open_requests: int) -> None:
        """Takes a measurement: by how much a timer was late, and how many requests are open."""
        self._lag += _LAG_WEIGHT * (max(0.0, late_seconds) - self._lag)
        self._full = open_requests >= self._open_limit
        self.active = self._full or self._lag > _LAG_TOLERATED_SECONDS * _BATCH_LAG

    def lets_in(self, *, batch: bool) -> bool:
        """Whether a request is served, or is to be shed."""
        if self._full:
            return False
        scale = _BATCH_LAG if batch else 1.0
        excess = (self._lag - _LAG_TOLERATED_SECONDS * scale) / (_LAG_FULL_SECONDS * scale)
        return excess <= 0 or self._random.random() >= excess
