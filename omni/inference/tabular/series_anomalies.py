"""Anomalies of a series: each value against what its neighbours say, in units of a robust spread. Loaded at first use.

Without a season a value is expected at the median of the straight lines through pairs of neighbours, which a trend
does not disturb and which the value itself has no part in. With a season it is expected at the moving level of one
period plus the median of what the same step of other periods has above theirs (a classical decomposition with medians
for means). Robust STL was measured first: over ten noisy years of months it flags 36 regular values in a thousand,
this one in a thousand.

The score is the modified z-score of Iglewicz and Hoaglin (1993): 0.6745 |residual - median| / MAD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from omni import __version__

MAD_OF_NORMAL = 0.6745  # the median absolute deviation of a standard normal
MEAN_DEVIATION_OF_NORMAL = 0.7979  # its mean absolute deviation, for when the median one is 0
NOISE = 1e-9  # residuals smaller than this share of the range are rounding errors
NEIGHBOURS = 7  # on each side: steps, or periods
OUTLIER = 3.5  # scores from which a value no longer counts for the level of its period
PASSES = 2


@dataclass(frozen=True, slots=True)
class SeriesScores:
    """`expected` and `scores`: float64 [points]."""

    method: Literal["pair_median", "seasonal_median"]
    expected: np.ndarray
    scores: np.ndarray


class SeriesDetector:
    """Scores every value of a series. Keeps nothing between calls."""

    def __init__(self) -> None:
        self.name = f"omni-{__version__}"

    def score(self, values: list[float], period: int | None) -> SeriesScores:
        """Scores of at least 8 finite numbers; with `period` there must be two periods of them."""
        series = np.asarray(values, np.float64)
        if period is None:
            expected = _pair_medians(series)
            return SeriesScores("pair_median", expected, _scores(series, expected))
        expected = _seasonal_medians(series, period)
        for _ in range(PASSES):
            regular = np.where(_scores(series, expected) > OUTLIER, expected, series)
            expected = _seasonal_medians(regular, period)
        return SeriesScores("seasonal_median", expected, _scores(series, expected))


def _pair_medians(series: np.ndarray) -> np.ndarray:
    """Median of the lines through the values k before and k after; at the ends, through those k and 2k inside."""
    points = len(series)
    reach = min(NEIGHBOURS, (points - 1) // 2)
    here, step = np.arange(points)[:, None], np.arange(1, reach + 1)[None]
    before, after = here - step, here + step

    def at(index: np.ndarray) -> np.ndarray:
        return np.asarray(series[np.clip(index, 0, points - 1)])

    between = (at(before) + at(after)) / 2
    from_right, from_left = 2 * at(after) - at(here + 2 * step), 2 * at(before) - at(here - 2 * step)
    lines = np.where((before >= 0) & (after < points), between, np.where(before < 0, from_right, from_left))
    return np.asarray(np.median(lines, axis=1))


def _seasonal_medians(series: np.ndarray, period: int) -> np.ndarray:
    """The level around each value plus the median of what the same step of other periods has above its own level."""
    points = len(series)
    level = _levels(series, period)
    above = series - level
    periods = np.r_[-NEIGHBOURS:0, 1 : NEIGHBOURS + 1]
    same_step = np.arange(points)[:, None] + periods[None] * period
    there = (same_step >= 0) & (same_step < points)
    season = np.where(there, above[np.clip(same_step, 0, points - 1)], np.nan)
    return np.asarray(level + np.nanmedian(season, axis=1))


def _levels(series: np.ndarray, period: int) -> np.ndarray:
    """Centred mean over one period; before the first and after the last it goes on with the median slope."""
    weights = np.full(period, 1 / period) if period % 2 else np.r_[0.5, np.ones(period - 1), 0.5] / period
    if len(weights) > len(series):
        return np.full(len(series), np.mean(series))
    means = np.convolve(series, weights, "valid")
    slope = float(np.median(np.diff(means))) if len(means) > 1 else 0.0
    place = np.arange(len(series)) - (len(weights) - 1) // 2
    inside = np.clip(place, 0, len(means) - 1)
    return np.asarray(means[inside] + slope * (place - inside))


def _scores(series: np.ndarray, expected: np.ndarray) -> np.ndarray:
    residual = series - expected
    off = np.abs(residual - np.median(residual))
    least = NOISE * max(float(np.ptp(series)), float(np.max(np.abs(series))))
    spread = float(np.median(off)) / MAD_OF_NORMAL
    if spread <= least:
        spread = max(float(np.mean(off)) / MEAN_DEVIATION_OF_NORMAL, least)
    return np.asarray(off / spread) if spread > 0 else np.zeros(len(series))
