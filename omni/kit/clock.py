"""Time as a dependency, so that a test can hold it still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Everything that decides by the time of day takes one."""

    def now(self) -> datetime:
        """The current instant, always with the UTC zone."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start needs a time zone")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        self._now += step


def month_start(moment: datetime) -> datetime:
    """The first instant of the UTC month that `moment` is in."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(moment: datetime) -> datetime:
    """The first instant of the UTC month after the one that `moment` is in."""
    start = month_start(moment)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def unix_micros() -> int:
    """Microseconds since the epoch, as an integer."""
    return time_ns() // 1000
