"""Means: intervals and tests. Loaded at first use."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Mean:
    """`deviation` is the sample's standard deviation (n - 1); `size` at least 2; `values` float64 [size] or None."""

    mean: float
    deviation: float
    size: int
    values: np.ndarray | None = None

    @property
    def variance(self) -> float:
        """Of the mean."""
        return self.deviation**2 / self.size


@dataclass(frozen=True, slots=True)
class WelchTest:
    statistic: float
    degrees_of_freedom: float
    p_value: float
    interval: tuple[float, float]


def mean_of(values: list[float]) -> Mean:
    """The summary of at least 2 numbers."""
    array = np.asarray(values, np.float64)
    deviation = float(np.std(array, ddof=1)) if np.ptp(array) > 0 else 0.0
    return Mean(float(np.mean(array)), deviation, len(array), array)


def student(sample: Mean, confidence: float) -> tuple[float, float]:
    """Student's t interval of a mean."""
    half = float(stats.t.isf((1 - confidence) / 2, sample.size - 1)) * math.sqrt(sample.variance)
    return sample.mean - half, sample.mean + half


def welch(treatment: Mean, control: Mean, confidence: float) -> WelchTest | None:
    """Two-sided test of equal means with unequal variances (Welch 1947, Biometrika 34) and the interval of treatment -
    control; None when neither sample varies.
    """
    variance = treatment.variance + control.variance
    if variance <= 0:
        return None
    shares = (treatment.variance / variance, control.variance / variance)
    freedom = 1 / (shares[0] ** 2 / (treatment.size - 1) + shares[1] ** 2 / (control.size - 1))
    difference, error = treatment.mean - control.mean, math.sqrt(variance)
    half = float(stats.t.isf((1 - confidence) / 2, freedom)) * error
    statistic = difference / error
    p_value = float(2 * stats.t.sf(abs(statistic), freedom))
    return WelchTest(statistic, freedom, p_value, (difference - half, difference + half))


def mann_whitney(treatment: np.ndarray, control: np.ndarray) -> tuple[float, float | None]:
    """U of the treatment and the two-sided p-value (Mann and Whitney 1947), None when all values are equal."""
    if np.ptp(np.concatenate([treatment, control])) == 0:
        return len(treatment) * len(control) / 2, None
    found = stats.mannwhitneyu(treatment, control, method="asymptotic")
    return float(found.statistic), float(found.pvalue)
