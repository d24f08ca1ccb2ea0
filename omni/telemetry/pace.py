"""How often something may be done, where doing it for everything would cost more than the thing itself."""

from __future__ import annotations

import time


class Pace:
    """So many in each stretch of some seconds, first come, first served. 0 a second = as many as there are."""

    def __init__(self, per_second: int, stretch_seconds: int = 1) -> None:
        self._most = per_second * stretch_seconds
        self._stretch_seconds = stretch_seconds
        self._stretch = 0
        self._taken = 0

    def is_spent(self) -> bool:
        """Whether nothing more may be done before the next stretch. Counts nothing."""
        return self._taken >= self._most > 0 and int(time.monotonic() / self._stretch_seconds) == self._stretch

    def allows(self) -> bool:
        """Whether one more may be done now; counts it."""
        if not self._most:
            return True
        stretch = int(time.monotonic() / self._stretch_seconds)
        if stretch != self._stretch:
            self._stretch, self._taken = stretch, 0
        self._taken += 1
        return self._taken <= self._most
