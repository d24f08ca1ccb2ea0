"""What it costs to take a stretch of a series as one segment: minus twice its log-likelihood, up to a constant."""

from __future__ import annotations

import numpy as np

from omni.inference.tabular.change_points.wanted import Change

MAD_OF_NORMAL = 0.6745
MEAN_DEVIATION_OF_NORMAL = 0.7979
LEAST_NOISE = 1e-9  # of the range
LEAST_VARIANCE = 1e-3  # of the whole: equal values in a row are no evidence of a variance of 0


class Costs:
    """Costs of stretches of a series: `series` float64 [..., points], many series at once along the first axes.

    `mean`: squares of what is left, over the variance of the noise. `mean_and_variance`: n log of the variance.
    """

    def __init__(self, series: np.ndarray, change: Change, variance: float) -> None:
        """`variance`: of the noise for `mean`, the least of a segment for `mean_and_variance`; above 0."""
        self._change, self._variance = change, variance
        centred = series - np.median(series, axis=-1, keepdims=True)
        start = np.zeros((*series.shape[:-1], 1))
        self._sums = np.concatenate([start, np.cumsum(centred, axis=-1)], axis=-1)
        self._squares = np.concatenate([start, np.cumsum(centred * centred, axis=-1)], axis=-1)

    def of(self, starts: np.ndarray | int, ends: np.ndarray | int) -> np.ndarray:
        """Costs of the stretches [start, end), float64 [..., stretches]."""
        starts, ends = np.atleast_1d(starts), np.atleast_1d(ends)
        size = ends - starts
        total = self._sums[..., ends] - self._sums[..., starts]
        left = np.maximum(self._squares[..., ends] - self._squares[..., starts] - total * total / size, 0)
        if self._change == "mean":
            return np.asarray(left / self._variance)
        return np.asarray(size * np.log(np.maximum(left / size, self._variance)))

    def best_gains(self, start: int, end: int, least: int) -> np.ndarray:
        """What splitting [start, end) at each allowed place gains, float64 [..., places]: both parts keep `least`."""
        places = np.arange(start + least, end - least + 1)
        return np.asarray(self.of(start, end) - self.of(start, places) - self.of(places, end))


def noise_of(series: np.ndarray) -> float:
    """Standard deviation around a level that changes seldom, from the differences of neighbours; 0 for equal values."""
    steps = np.abs(np.diff(series))
    spread = float(np.median(steps)) / MAD_OF_NORMAL
    if spread == 0:
        spread = float(np.mean(steps)) / MEAN_DEVIATION_OF_NORMAL
    return max(spread / float(np.sqrt(2)), LEAST_NOISE * float(np.ptp(series)))
