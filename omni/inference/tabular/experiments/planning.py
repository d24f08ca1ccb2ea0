"""How large an experiment must be. Loaded at first use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes, and the power that they give."""

    control_size: int
    treatment_size: int
    power: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """`significance` is the level of one test; `ratio` the size of the treatment over that of the control."""

    power: float
    significance: float
    sides: int
    ratio: float

    @property
    def tail(self) -> float:
        """The level of one tail."""
        return self.significance / self.sides


def plan_proportions(baseline: float, effect: float, wanted: Wanted, largest: float) -> Plan | None:
    """The smallest sizes that find baseline + effect by a two-proportion z-test; None above `largest`."""
    other = baseline + effect
    ratio = wanted.ratio

    def power(size: float) -> float:
        pooled = (baseline + ratio * other) / (1 + ratio)
        null = math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio) / size)
        alternative = math.sqrt((baseline * (1 - baseline) + other * (1 - other) / ratio) / size)
        return float(stats.norm.cdf((abs(effect) - stats.norm.isf(wanted.tail) * null) / alternative))

    return _smallest(power, wanted, 1, largest)


def plan_means(deviation: float, effect: float, wanted: Wanted, largest: float) -> Plan | None:
    """The smallest sizes that find a difference of means by a t-test; None above `largest` in the control."""
    standardised = abs(effect) / deviation

    def power(size: float) -> float:
        other = size * wanted.ratio
        freedom = size + other - 2
        shift = standardised * math.sqrt(size * other / (size + other))
        critical = float(stats.t.isf(wanted.tail, freedom))
        if freedom > 1e5 or shift > 30:  # the noncentral t is normal there
            return float(stats.norm.sf(critical - shift))
        far = float(stats.nct.cdf(-critical, freedom, shift)) if wanted.sides == 2 else 0.0
        return float(stats.nct.sf(critical, freedom, shift)) + (far if math.isfinite(far) else 0.0)

    least = max(2, math.ceil(2 / wanted.ratio))
    return _smallest(power, wanted, least, largest)


def _smallest(power: Callable[[float], float], wanted: Wanted, least: int, largest: float) -> Plan | None:
    """By doubling, then halving: power grows with the size."""
    high = least
    while power(high) < wanted.power:
        if high > largest:
            return None
        high *= 2
    low = max(least, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= wanted.power else (middle + 1, high)
    return Plan(high, math.ceil(high * wanted.ratio), power(high))
