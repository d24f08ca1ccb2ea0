"""Time that passes only when everyone waits: an asyncio loop whose sleeps end at once, in order."""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime

MICROS = 1_000_000


class Clock:
    """One monotonic clock, and Redis' wall clock that may jump against it."""

    def __init__(self, start_micros: int) -> None:
        self.seconds = 0.0
        self.start_micros = start_micros
        self.jumped_micros = 0

    def true_micros(self) -> int:
        """The wall clock of machines that keep good time, Unix microseconds."""
        return self.start_micros + int(self.seconds * MICROS)

    def redis_micros(self) -> int:
        """What TIME answers, Unix microseconds."""
        return self.true_micros() + self.jumped_micros

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.true_micros() / MICROS, UTC)


class _Waiting(selectors.SelectSelector):
    """Waits by moving the clock; no file is ever ready."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everyone waits for something that nobody will do")
        if timeout > 0:
            self._clock.seconds += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on a Clock."""

    def __init__(self, clock: Clock) -> None:
        self._virtual = clock
        super().__init__(_Waiting(clock))

    def time(self) -> float:
        return self._virtual.seconds
