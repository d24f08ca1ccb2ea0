"""One request at a time for one answer: others like it wait for it.

Whoever comes first leads and asks the provider. When its answer can be stored, all who wait get it; when it cannot,
they all go on by themselves; when the leader fails or its client leaves, the next one leads. So does the next one when
a leader takes longer than LOCK_SECONDS.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum

from omni.gateway.cache.entries import Hit
from omni.gateway.cache.store import LOCK_SECONDS
from omni.gateway.upstream.answers import deadline_exceeded


class Turn(Enum):
    """What a request that waited is to do without a hit."""

    LEAD = "lead"
    ALONE = "alone"


class Flight:
    """Requests for one answer."""

    __slots__ = ("lead_until", "leader", "waiters")

    def __init__(self) -> None:
        self.waiters: deque[asyncio.Future[Hit | Turn]] = deque()
        self.leader = 0
        self.lead_until = 0.0


class Flights:
    """All flights of this process, by digest."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._flights: dict[str, Flight] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, digest: str, deadline: float) -> Hit | Turn:
        """A hit, or what to do without. Who is told to lead has to `end` the flight. Raises DeadlineExceeded."""
        flight = self._flights.get(digest)
        if flight is None:
            flight = self._flights[digest] = Flight()
            return self._lead(flight)
        future: asyncio.Future[Hit | Turn] = self._loop.create_future()
        flight.waiters.append(future)
        try:
            while True:
                until = min(deadline, flight.lead_until)
                done, _ = await asyncio.wait((future,), timeout=max(0.0, until - self._loop.time()))
                if done:
                    turn = future.result()
                    return self._lead(flight) if turn is Turn.LEAD else turn
                now = self._loop.time()
                if now >= deadline:
                    raise deadline_exceeded()
                if now >= flight.lead_until:
                    return self._lead(flight)
        finally:
            if not future.done():
                future.cancel()

    def serial(self, digest: str) -> int:
        """Which leader of its flight leads now."""
        return self._flights[digest].leader

    def end(self, digest: str, serial: int, outcome: Hit | Turn) -> None:
        """The leader of that number has a hit, none that others could have (ALONE), or failed (LEAD: the next)."""
        flight = self._flights.get(digest)
        if flight is None or (outcome is Turn.LEAD and flight.leader != serial):
            return
        waiting = [future for future in flight.waiters if not future.done()]
        flight.waiters = deque(waiting)
        if outcome is Turn.LEAD and waiting:
            flight.waiters.popleft().set_result(Turn.LEAD)
            flight.lead_until = self._loop.time() + LOCK_SECONDS
            return
        del self._flights[digest]
        for future in waiting:
            future.set_result(outcome)

    def _lead(self, flight: Flight) -> Turn:
        self._serial += 1
        flight.leader = self._serial
        flight.lead_until = self._loop.time() + LOCK_SECONDS
        return Turn.LEAD
