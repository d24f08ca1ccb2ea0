"""How passed streams share an event loop that has more to do than it can.

A piece of a stream costs what it costs, however small it is. So while the loop is busy only some streams are read in a
turn, one after the other, and what has come meanwhile is passed on at once: there are fewer and larger pieces, and what
is new does not wait behind each piece of what is old.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

_BUSY_FROM, _BUSY_UNTIL = 0.7, 0.35
"""Shares of a core at which the loop begins and ceases to be busy: far apart, since resting takes much of the load."""
_LATE_SECONDS = 0.025
"""A loop that comes so late to look is busy, too: others take its core."""
_TURN_SECONDS = 0.001
_TURNS = 150
"""So many turns a stream rests at most, while these are short."""
_LONGEST_SECONDS = 0.25
"""Nor does it rest for longer than this and a turn: people read along."""


class Resting(Protocol):
    """A connection with a stream that is not being read."""

    def wake(self) -> None:
        """Reads on."""
        ...


class Pace:
    """Which streams are read when, in one process."""

    def __init__(self, cpu_seconds: Callable[[], float] = time.thread_time) -> None:
        """`cpu_seconds` says what the loop's thread has used."""
        self.busy = False
        """Whether a stream has to rest after each piece."""
        self._loop = asyncio.get_running_loop()
        self._resting: deque[tuple[float, Resting]] = deque()
        """Since when each rests; loop time."""
        self._has_turns = False
        self._cpu_seconds = cpu_seconds
        self._used_seconds = cpu_seconds()
        self._looked_at = self._loop.time()
        self._looks_every = math.inf

    def rest(self, stream: Resting) -> None:
        """It has been read, and is woken when all that rest already have been."""
        self._resting.append((self._loop.time(), stream))
        if not self._has_turns:
            self._has_turns = True
            self._loop.call_later(_TURN_SECONDS, self._turn)

    def _turn(self) -> None:
        resting, overdue = self._resting, self._loop.time() - _LONGEST_SECONDS
        left = -(-len(resting) // _TURNS)
        while resting and (left > 0 or resting[0][0] < overdue):
            left -= 1
            resting.popleft()[1].wake()
        self._has_turns = bool(resting)
        if resting:
            self._loop.call_later(_TURN_SECONDS, self._turn)

    def sweep(self, now: float) -> None:
        """Looks at how busy the loop was since it looked last; called at even intervals, a few times a second."""
        used_seconds, passed = self._cpu_seconds(), max(now - self._looked_at, _TURN_SECONDS)
        share = (used_seconds - self._used_seconds) / passed
        self._used_seconds, self._looked_at = used_seconds, now
        self._looks_every = min(self._looks_every, passed)
        is_late = passed > self._looks_every + _LATE_SECONDS
        self.busy = is_late or share > (_BUSY_UNTIL if self.busy else _BUSY_FROM)
