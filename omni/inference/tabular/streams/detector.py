"""What is expected of a series that comes point by point.

`level`: exponentially weighted level and mean absolute deviation; what is learnt from a point is bounded to LEARNT
deviations, as in the robust exponential smoothing of Gelper, Fried and Croux (2010, Journal of Forecasting 29), so that
an anomaly hardly moves what is expected, and a new level is learnt in time. They begin with the median of the first
points and their median absolute deviation. `quantiles`: quartiles by a t-digest; a point beyond them is as far away as
it has interquartile ranges to the nearer one (Tukey 1977, Exploratory Data Analysis: 1.5 is outside, 3 far out).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Literal, Protocol

from omni.inference.tabular.streams.digest import Digest

MAD_OF_NORMAL = 0.6745
MEAN_DEVIATION_OF_NORMAL = 0.7979
LEARNT = 3.0
LARGEST_SCORE = 1e9
REMEMBERED = 64

Method = Literal["level", "quantiles"]
Status = Literal["scored", "warming_up", "repeated", "late"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a point is; `score` and `expected` are None while it warms up, and of late points."""

    status: Status
    score: float | None
    expected: float | None
    anomaly: bool


class Expectation(Protocol):
    """What is expected of the next point, and how far away one is."""

    def begin(self, first: Sequence[float]) -> None:
        """From the points of the warm-up."""

    def score(self, value: float) -> tuple[float, float]:
        """The score of a value, and what was expected."""

    def learn(self, value: float) -> None:
        """From a value that was scored."""

    def state(self) -> tuple[Any, Any]:
        """JSON, to go on from."""

    def restore(self, first: Any, second: Any) -> None:
        """Goes on from what `state` gave."""


class Level:
    """Level and spread."""

    def __init__(self, half_life: int) -> None:
        self._half_life = half_life
        self._level = self._deviation = 0.0

    def begin(self, first: Sequence[float]) -> None:
        self._level = median(first)
        away = [abs(each - self._level) for each in first]
        self._deviation = median(away) / MAD_OF_NORMAL or fmean(away) / MEAN_DEVIATION_OF_NORMAL

    def score(self, value: float) -> tuple[float, float]:
        return _ratio(abs(value - self._level), self._deviation), self._level

    def learn(self, value: float) -> None:
        share = 1 - 0.5 ** (1 / self._half_life)
        residual = value - self._level
        if self._deviation > 0:
            most = LEARNT * self._deviation
            residual = max(-most, min(most, residual))
        self._level += share * residual
        self._deviation += share * (abs(residual) / MEAN_DEVIATION_OF_NORMAL - self._deviation)

    def state(self) -> tuple[Any, Any]:
        return self._level, self._deviation

    def restore(self, first: Any, second: Any) -> None:
        self._level, self._deviation = first, second


class Quantiles:
    """Quartiles."""

    def __init__(self, half_life: int) -> None:
        self._half_life = half_life
        self._digest = Digest(half_life)

    def begin(self, first: Sequence[float]) -> None:
        for value in first:
            self._digest.add(value)

    def score(self, value: float) -> tuple[float, float]:
        low, middle, high = (self._digest.quantile(share) for share in (0.25, 0.5, 0.75))
        return _ratio(max(low - value, value - high, 0.0), high - low), middle

    def learn(self, value: float) -> None:
        self._digest.add(value)

    def state(self) -> tuple[Any, Any]:
        return self._digest.state()

    def restore(self, first: Any, second: Any) -> None:
        self._digest = Digest.of_state(self._half_life, first, second)


EXPECTATIONS: dict[Method, Callable[[int], Expectation]] = {"level": Level, "quantiles": Quantiles}


def _ratio(away: float, unit: float) -> float:
    if unit > away / LARGEST_SCORE:
        return min(LARGEST_SCORE, away / unit)
    return LARGEST_SCORE if away > 0 else 0.0


class StreamDetector:
    """The state of one series. `half_life` and `warm_up` in points."""

    def __init__(self, half_life: int, warm_up: int, threshold: float, method: Method = "level") -> None:
        self._half_life, self._warm_up, self._threshold, self.method = half_life, warm_up, threshold, method
        self._first: list[float] = []
        self._expectation = EXPECTATIONS[method](half_life)
        self._recent: list[tuple[int, float | None, float | None, bool]] = []
        self.seen = 0

    def judge(self, time_micros: int, value: float) -> Judged:
        """Judges a finite value, and learns from it unless there was a point of this time or a later one."""
        for time, score, expected, anomaly in reversed(self._recent):
            if time == time_micros:
                return Judged("repeated", score, expected, anomaly)
        if self._recent and time_micros < self._recent[-1][0]:
            return Judged("late", None, None, False)
        self.seen += 1
        if len(self._first) < self._warm_up:
            judged = Judged("warming_up", None, None, False)
            self._begin(value)
        else:
            score, expected = self._expectation.score(value)
            judged = Judged("scored", score, expected, score > self._threshold)
            self._expectation.learn(value)
        self._recent.append((time_micros, judged.score, judged.expected, judged.anomaly))
        del self._recent[:-REMEMBERED]
        return judged

    def _begin(self, value: float) -> None:
        self._first.append(value)
        if len(self._first) == self._warm_up:
            self._expectation.begin(self._first)

    def to_bytes(self) -> bytes:
        """Everything, to go on from."""
        first: int | list[float] = self._first if len(self._first) < self._warm_up else len(self._first)
        options = [self._half_life, self._warm_up, self._threshold, self.method]
        return json.dumps([options, first, *self._expectation.state(), self.seen, self._recent]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> StreamDetector:
        """The detector that `to_bytes` was called of."""
        options, first, *expected, seen, recent = json.loads(data)
        detector = cls(*options)
        detector._first = [0.0] * first if isinstance(first, int) else first
        detector._expectation.restore(*expected)
        detector.seen = seen
        detector._recent = [(time, score, expected, anomaly) for time, score, expected, anomaly in recent]
        return detector


def judge_all(detector: StreamDetector, points: Sequence[tuple[int, float]]) -> list[Judged]:
    """Judges points (Unix microseconds, value) in their order."""
    return [detector.judge(time, value) for time, value in points]
