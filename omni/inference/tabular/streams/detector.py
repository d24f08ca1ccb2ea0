"""Level and spread of a series that comes point by point.

Exponentially weighted level and mean absolute deviation; what is learnt from a point is bounded to LEARNT deviations,
as in the robust exponential smoothing of Gelper, Fried and Croux (2010, Journal of Forecasting 29), so that an anomaly
hardly moves what is expected, and a new level is learnt in time. They begin with the median of the first points and
their median absolute deviation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

MAD_OF_NORMAL = 0.6745
MEAN_DEVIATION_OF_NORMAL = 0.7979
LEARNT = 3.0
LARGEST_SCORE = 1e9
REMEMBERED = 64

Status = Literal["scored", "warming_up", "repeated", "late"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a point is; `score` and `expected` are None while it warms up, and of late points."""

    status: Status
    score: float | None
    expected: float | None
    anomaly: bool


class StreamDetector:
    """The state of one series. `half_life` and `warm_up` in points."""

    def __init__(self, half_life: int, warm_up: int, threshold: float) -> None:
        self._half_life, self._warm_up, self._threshold = half_life, warm_up, threshold
        self._first: list[float] = []
        self._level = self._deviation = 0.0
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
            score = self._score(value)
            judged = Judged("scored", score, self._level, score > self._threshold)
            self._learn(value)
        self._recent.append((time_micros, judged.score, judged.expected, judged.anomaly))
        del self._recent[:-REMEMBERED]
        return judged

    def _begin(self, value: float) -> None:
        self._first.append(value)
        if len(self._first) == self._warm_up:
            self._level = median(self._first)
            away = [abs(each - self._level) for each in self._first]
            self._deviation = median(away) / MAD_OF_NORMAL or fmean(away) / MEAN_DEVIATION_OF_NORMAL

    def _score(self, value: float) -> float:
        away = abs(value - self._level)
        return (
            min(LARGEST_SCORE, away / self._deviation)
            if self._deviation > away / LARGEST_SCORE
            else (LARGEST_SCORE if away > 0 else 0.0)
        )

    def _learn(self, value: float) -> None:
        share = 1 - 0.5 ** (1 / self._half_life)
        residual = value - self._level
        if self._deviation > 0:
            most = LEARNT * self._deviation
            residual = max(-most, min(most, residual))
        self._level += share * residual
        self._deviation += share * (abs(residual) / MEAN_DEVIATION_OF_NORMAL - self._deviation)

    def to_bytes(self) -> bytes:
        """Everything, to go on from."""
        first: int | list[float] = self._first if len(self._first) < self._warm_up else len(self._first)
        options = [self._half_life, self._warm_up, self._threshold]
        return json.dumps([options, first, self._level, self._deviation, self.seen, self._recent]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> StreamDetector:
        """The detector that `to_bytes` was called of."""
        options, first, level, deviation, seen, recent = json.loads(data)
        detector = cls(*options)
        detector._first = [0.0] * first if isinstance(first, int) else first
        detector._level, detector._deviation, detector.seen = level, deviation, seen
        detector._recent = [(time, score, expected, anomaly) for time, score, expected, anomaly in recent]
        return detector


def judge_all(detector: StreamDetector, points: Sequence[tuple[int, float]]) -> list[Judged]:
    """Judges points (Unix microseconds, value) in their order."""
    return [detector.judge(time, value) for time, value in points]
