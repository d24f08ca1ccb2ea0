"""How each target fares: circuit breaker, cool-down, latency, and the budget of retries."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

FAILURES_TO_OPEN = 5
"""Failures in a row that open a breaker."""
_WINDOW_SECONDS = 10.0
_WINDOW_LEAST_CALLS = 20
_OPEN_FIRST_SECONDS = 2.0
_OPEN_LAST_SECONDS = 30.0
_LATENCY_WEIGHT = 0.2
_RETRY_RATIO = 0.2
_RETRIES_LEAST = 3.0
_RETRIES_MOST = 50.0


class TargetHealth:
    """One target, as this process knows it.

    The breaker opens after FAILURES_TO_OPEN failures in a row, or when half of at least twenty calls in ten seconds
    failed; then one probe at a time is let through, after twice as long each time it fails.
    """

    __slots__ = (
        "_failed", "_in_row", "_open_seconds", "_opened_until", "_probing", "_random", "_total", "_window_ends",
        "cool_until", "first_byte_seconds", "open_calls",
    )  # fmt: skip

    def __init__(self, random: Random) -> None:
        self._random = random
        self._in_row = 0
        self._failed = 0
        self._total = 0
        self._window_ends = 0.0
        self._opened_until: float | None = None
        self._open_seconds = _OPEN_FIRST_SECONDS
        self._probing = False
        self.cool_until = 0.0
        """Until then the provider asked to be left alone."""
        self.first_byte_seconds: float | None = None
        """Moving average of the time to the first byte of an answer."""
        self.open_calls = 0

    @property
    def breaker_state(self) -> str:
        """`closed`, `open`, or `half_open` while a probe is under way."""
        if self._opened_until is None:
            return "closed"
        return "half_open" if self._probing else "open"

    def usable(self, now: float) -> bool:
        """Whether a call may go out now."""
        if now < self.cool_until:
            return False
        return self._opened_until is None or (now >= self._opened_until and not self._probing)

    def ready_at(self) -> float:
        """When a call may go out again, as far as it is known."""
        return max(self.cool_until, self._opened_until or 0.0)

    def start(self) -> Call:
        """A call goes out."""
        return Call(self)

    def begin(self) -> bool:
        """A call goes out; whether it is a probe."""
        self.open_calls += 1
        if self._opened_until is None:
            return False
        self._probing = True
        return True

    def end(self, *, probe: bool) -> None:
        """A call is over; what it tells of the target comes apart."""
        self.open_calls -= 1
        if probe:
            self._probing = False

    def succeeded(self, now: float, first_byte_seconds: float) -> None:
        """The target answered as it should."""
        known = self.first_byte_seconds
        self.first_byte_seconds = (
            first_byte_seconds if known is None else known + _LATENCY_WEIGHT * (first_byte_seconds - known)
        )
        if now >= self._window_ends:
            self._begin_window(now)
        self._total += 1
        self._in_row = 0
        self._opened_until, self._probing = None, False
        self._open_seconds = _OPEN_FIRST_SECONDS

    def failed(self, now: float, *, probe: bool) -> None:
        """The target broke, refused us or kept silent."""
        if now >= self._window_ends:
            self._begin_window(now)
        self._total += 1
        self._failed += 1
        self._in_row += 1
        if probe:
            self._open_seconds = min(2 * self._open_seconds, _OPEN_LAST_SECONDS)
            self._open(now)
        elif self._opened_until is None and (self._in_row >= FAILURES_TO_OPEN or self._half_failed()):
            self._open(now)

    def limited(self, now: float, seconds: float) -> None:
        """The target asked us to wait."""
        self.cool_until = max(self.cool_until, now + seconds)

    def _open(self, now: float) -> None:
        self._opened_until = now + self._open_seconds * self._random.uniform(0.8, 1.2)
        self._failed = self._total = 0

    def _begin_window(self, now: float) -> None:
        self._window_ends = now + _WINDOW_SECONDS
        self._failed = self._total = 0

    def _half_failed(self) -> bool:
        return self._total >= _WINDOW_LEAST_CALLS and 2 * self._failed >= self._total


class Call:
    """One call to a target. The first of its endings counts."""

    __slots__ = ("_health", "_probe")

    def __init__(self, health: TargetHealth) -> None:
        self._health: TargetHealth | None = health
        self._probe = health.begin()

    def succeeded(self, now: float, first_byte_seconds: float) -> None:
        """The target answered as it should."""
        health, self._health = self._health, None
        if health is not None:
            health.open_calls -= 1
            health.succeeded(now, first_byte_seconds)

    def failed(self, now: float) -> None:
        """The target broke, refused us or kept silent."""
        health, self._health = self._health, None
        if health is not None:
            health.end(probe=self._probe)
            health.failed(now, probe=self._probe)

    def limited(self, now: float, seconds: float) -> None:
        """The target asked us to wait."""
        health, self._health = self._health, None
        if health is not None:
            health.end(probe=self._probe)
            health.limited(now, seconds)

    def given_up(self) -> None:
        """It ended without telling anything of the target: the client left, or another target was faster."""
        health, self._health = self._health, None
        if health is not None:
            health.end(probe=self._probe)


class RetryBudget:
    """Second calls to a failing target are at most a fifth of the first ones (Envoy's and Finagle's retry budget)."""

    __slots__ = ("_left", "_ratio")

    def __init__(self, ratio: float = _RETRY_RATIO) -> None:
        self._ratio = ratio
        self._left = _RETRIES_LEAST

    def call(self) -> None:
        """A first call goes out."""
        self._left = min(self._left + self._ratio, _RETRIES_MOST)

    def take(self) -> bool:
        """Whether one more second call is allowed."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class HealthBook:
    """The health of every target, by id. It survives a reload of the routes."""

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock = clock
        self._random = random
        self._targets: dict[str, TargetHealth] = {}

    def of(self, target_id: str) -> TargetHealth:
        health = self._targets.get(target_id)
        if health is None:
            health = self._targets[target_id] = TargetHealth(self._random)
        return health

    def keep_only(self, target_ids: set[str]) -> None:
        """Forgets targets that are gone."""
        for gone in self._targets.keys() - target_ids:
            if not self._targets[gone].open_calls:
                del self._targets[gone]

    def now(self) -> float:
        return self._clock()

    def open_breakers(self) -> int:
        """How many targets have a breaker that is not closed."""
        return sum(health.breaker_state != "closed" for health in self._targets.values())
