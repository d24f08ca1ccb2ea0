"""How often something may be done, where doing it for everything would cost more than the thing itself."""

from __future__ import annotations

import time


class Pace:
    """So many in each second, first come, first served. 0 = as many as there are."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._taken = 0

    def allows(self) -> bool:
        """Whether one more may be done now; counts it."""
        if not self._per_second:
            return True
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= self._per_second
