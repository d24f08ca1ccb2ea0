"""Proportions: intervals, tests and posteriors. Loaded at first use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

LEAST_EXPECTED = 5  # Cochran's rule: below it the normal approximation is not trusted
NODES = 32
PANEL_PROBABILITIES = (1e-13, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 1 - 1e-4, 1 - 1e-6)


@dataclass(frozen=True, slots=True)
class Proportion:
    """`successes` of `trials` (at least 1)."""

    successes: int
    trials: int

    @property
    def rate(self) -> float:
        return self.successes / self.trials

    @property
    def variance(self) -> float:
        """Of the rate."""
        return self.rate * (1 - self.rate) / self.trials


@dataclass(frozen=True, slots=True)
class ProportionTest:
    name: Literal["two_proportion_z", "fisher_exact"]
    statistic: float | None
    p_value: float


def wilson(sample: Proportion, confidence: float) -> tuple[float, float]:
    """Score interval of Wilson (1927, JASA 22)."""
    z = float(stats.norm.isf((1 - confidence) / 2))
    share, trials = sample.rate, sample.trials
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z * z / trials
    lower = 0.0 if sample.successes == 0 else (centre - half) / scale
    upper = 1.0 if sample.successes == trials else (centre + half) / scale
    return max(0.0, lower), min(1.0, upper)


def newcombe(treatment: Proportion, control: Proportion, confidence: float) -> tuple[float, float]:
    """Interval of the difference treatment - control: hybrid score, method 10 of Newcombe (1998, Statistics in
    Medicine 17).
    """
    low, high = wilson(treatment, confidence)
    control_low, control_high = wilson(control, confidence)
    difference = treatment.rate - control.rate
    below = math.hypot(treatment.rate - low, control_high - control.rate)
    above = math.hypot(high - treatment.rate, control.rate - control_low)
    return difference - below, difference + above


def compare(treatment: Proportion, control: Proportion) -> ProportionTest:
    """Two-sided test of equal proportions."""
    trials = treatment.trials + control.trials
    successes = treatment.successes + control.successes
    least = min(treatment.trials, control.trials) * min(successes, trials - successes) / trials
    if least < LEAST_EXPECTED:
        failures = (treatment.trials - treatment.successes, control.trials - control.successes)
        table = [[treatment.successes, control.successes], list(failures)]
        return ProportionTest("fisher_exact", None, min(1.0, float(stats.fisher_exact(table).pvalue)))
    pooled = successes / trials
    error = math.sqrt(pooled * (1 - pooled) * (1 / treatment.trials + 1 / control.trials))
    z = (treatment.rate - control.rate) / error
    return ProportionTest("two_proportion_z", z, float(2 * stats.norm.sf(abs(z))))


@dataclass(frozen=True, slots=True)
class BetaPosterior:
    """A beta distribution of a proportion."""

    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        return self.alpha / (self.alpha + self.beta)

    def quantiles(self, probabilities: Sequence[float]) -> np.ndarray:
        """float64 [probabilities]."""
        return np.asarray(special.betaincinv(self.alpha, self.beta, np.asarray(probabilities)))


def probabilities_best(posteriors: Sequence[BetaPosterior]) -> list[float]:
    """For each, the probability that its proportion is the largest: the integral of its density times the others'
    distribution functions, by Gauss-Legendre between the quantiles of all of them.
    """
    upper_tail = [1 - 1e-9, 1 - 1e-13]
    quantiles = [each.quantiles([*PANEL_PROBABILITIES, *upper_tail]) for each in posteriors]
    edges = np.unique(np.r_[0.0, np.concatenate(quantiles), 1.0])
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    places = ((edges[:-1] + edges[1:])[:, None] / 2 + half * nodes).ravel()
    widths = (half * weights).ravel()
    below = np.stack([special.betainc(each.alpha, each.beta, places) for each in posteriors])
    found = []
    for place, each in enumerate(posteriors):
        density = stats.beta.pdf(places, each.alpha, each.beta)
        others = np.prod(np.delete(below, place, axis=0), axis=0)
        found.append(float(np.sum(widths * np.where(np.isfinite(density), density, 0) * others)))
    total = sum(found)
    return [probability / total for probability in found]
