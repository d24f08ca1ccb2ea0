"""Anomalies of a series: what is left after trend and season, against its robust spread. Heavy: loaded at first use.

With a season: STL in its robust form (Cleveland et al. 1990). Without: a robust local line, LOWESS (Cleveland 1979),
the smoother that STL itself is made of. The score is the modified z-score of Iglewicz and Hoaglin (1993): 0.6745
|residual - median| / MAD.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from statsmodels.nonparametric.smoothers_lowess import lowess  # type: ignore[import-untyped]
from statsmodels.tsa.seasonal import STL  # type: ignore[import-untyped]

MAD_OF_NORMAL = 0.6745  # the median absolute deviation of a standard normal
MEAN_DEVIATION_OF_NORMAL = 0.7979  # its mean absolute deviation, for when the median one is 0
NOISE = 1e-9  # residuals smaller than this share of the range are rounding errors
LEAST_NEIGHBOURS, MOST_NEIGHBOURS = 15, 101


@dataclass(frozen=True, slots=True)
class SeriesScores:
    """`expected` and `scores`: float64 [points]."""

    method: Literal["stl", "lowess"]
    expected: np.ndarray
    scores: np.ndarray


class SeriesDetector:
    """Scores every value of a series. Keeps nothing between calls."""

    def __init__(self) -> None:
        self.name = f"statsmodels-{version('statsmodels')}"

    def score(self, values: list[float], period: int | None) -> SeriesScores:
        """Scores of at least 8 finite numbers; with `period` there must be two periods of them."""
        series = np.asarray(values, np.float64)
        if np.ptp(series) == 0:
            return SeriesScores("lowess", series, np.zeros(len(series)))
        if period is not None:
            parts = STL(series, period=period, robust=True).fit()
            return _scored("stl", series, np.asarray(parts.trend + parts.seasonal))
        steps = np.arange(len(series), dtype=np.float64)
        neighbours = min(len(series), max(LEAST_NEIGHBOURS, min(MOST_NEIGHBOURS, len(series) // 10)))
        share = neighbours / len(series)
        with np.errstate(all="ignore"):
            smooth = lowess(series, steps, frac=share, it=3, delta=neighbours / 20, return_sorted=False)
        return _scored("lowess", series, np.where(np.isfinite(smooth), smooth, np.median(series)))


def _scored(method: Literal["stl", "lowess"], series: np.ndarray, expected: np.ndarray) -> SeriesScores:
    residual = series - expected
    off = np.abs(residual - np.median(residual))
    spread = np.median(off) / MAD_OF_NORMAL
    if spread <= NOISE * np.ptp(series):
        spread = max(float(np.mean(off)) / MEAN_DEVIATION_OF_NORMAL, NOISE * float(np.ptp(series)))
    return SeriesScores(method, expected, off / spread)
