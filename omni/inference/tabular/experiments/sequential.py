"""Sequential tests: valid at every look."""

from __future__ import annotations

import math


def always_valid(
    difference: float, variance: float, mixture_deviation: float, confidence: float
) -> tuple[float, tuple[float, float]]:
    """p-value and interval of the mixture sequential probability ratio test of no difference, with a normal mixture of
    mean 0 (Johari, Koomen, Pekelis, Walsh 2022, Operations Research 70).

    `variance` (above 0) is that of the estimated difference; the difference is taken as normal.
    """
    mixture = mixture_deviation**2
    spread = math.log1p(mixture / variance)
    log_ratio = mixture / (variance + mixture) * difference**2 / (2 * variance) - spread / 2
    p_value = math.exp(-log_ratio) if log_ratio > 0 else 1.0
    half = math.sqrt(variance * (1 + variance / mixture) * (spread - 2 * math.log(1 - confidence)))
    return p_value, (difference - half, difference + half)
