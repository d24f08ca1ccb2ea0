"""What is optimised: a box, an objective, constraints, and which of two points is better.

Points are looked for in the unit box and decoded: a share of the way from the low to the high bound; an integer
variable takes each whole number with the same share. Points are compared by the rules of Deb (2000, Computer Methods in
Applied Mechanics and Engineering 186): what breaks no constraint beats what does, among those the objective decides,
else the sum of the violations does. A point at which the objective or a constraint is not a finite number is worse than
all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from omni.inference.tabular.optimisation.expressions import Expression

Algorithm = Literal["particle_swarm", "differential_evolution", "cma_es"]


@dataclass(frozen=True, slots=True)
class Variable:
    """Bounds are inclusive; an integer's bounds are whole."""

    name: str
    low: float
    high: float
    integer: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """`values` and `violations`: float64 [points]. Lower is better; a violation of 0 breaks nothing."""

    values: np.ndarray
    violations: np.ndarray

    def better_than(self, other: Measured) -> np.ndarray:
        """bool [points], place by place."""
        less = self.values < other.values
        return np.asarray((self.violations < other.violations) | ((self.violations == other.violations) & less))

    def best_first(self) -> np.ndarray:
        """The places in order."""
        return np.lexsort((self.values, self.violations))

    def replaced(self, where: np.ndarray, other: Measured) -> Measured:
        """With the other's measures where the mask says so."""
        return Measured(np.where(where, other.values, self.values), np.where(where, other.violations, self.violations))


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """`target` is a value of the objective at which the search may stop; `population` None = the algorithm's own."""

    algorithm: Algorithm
    evaluations: int
    population: int | None = None
    seed: int = 0
    target: float | None = None


class Problem:
    """Minimises `objective`, or its negative, subject to `constraints` (at most 0 where they hold)."""

    def __init__(
        self, variables: Sequence[Variable], objective: Expression, constraints: Sequence[Expression], maximise: bool
    ) -> None:
        self.size = len(variables)
        self.maximise = maximise
        self._objective, self._constraints = objective, constraints
        self._low = np.array([variable.low for variable in variables])
        self._high = np.array([variable.high for variable in variables])
        self._integer = np.array([variable.integer for variable in variables])

    def decode(self, unit: np.ndarray) -> np.ndarray:
        """Values of the variables for points of the unit box; both float64 [points, variables]."""
        share = np.clip(unit, 0, 1)
        between = self._low * (1 - share) + self._high * share
        whole = np.floor(self._low + share * (self._high - self._low + 1))
        return np.asarray(np.clip(np.where(self._integer, whole, between), self._low, self._high))

    def measure(self, unit: np.ndarray) -> Measured:
        """How good the points are."""
        columns = self.decode(unit).T
        with np.errstate(all="ignore"):
            values = np.broadcast_to(self._objective.evaluate(columns), len(unit)).astype(np.float64)
            violations = np.zeros(len(unit))
            for constraint in self._constraints:
                violations = violations + np.maximum(constraint.evaluate(columns), 0)
        usable = np.isfinite(values) & np.isfinite(violations)
        signed = -values if self.maximise else values
        return Measured(np.where(usable, signed, np.inf), np.where(usable, violations, np.inf))
