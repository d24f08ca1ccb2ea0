"""The loop around a population: what it may cost, when it ends, and what came of it. Loaded at first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from omni.inference.tabular.optimisation.algorithms import population_of
from omni.inference.tabular.optimisation.problem import Problem, SearchSettings

CURVE_POINTS = 200

StopReason = Literal["target_reached", "converged", "evaluations_used"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The best after so many evaluations; the objective in the caller's own sign."""

    evaluations: int
    value: float
    violation: float


@dataclass(frozen=True, slots=True)
class Found:
    """`point`: float64 [variables]; a violation above 0 says that no point within the constraints was found."""

    point: np.ndarray
    value: float
    violation: float
    evaluations: int
    generations: int
    stopped: StopReason
    curve: list[Progress]


@dataclass(slots=True)
class _Best:
    point: np.ndarray
    value: float = np.inf
    violation: float = np.inf
    curve: list[Progress] = field(default_factory=list)


class Searcher:
    """Searches. Keeps nothing between calls."""

    def search(self, problem: Problem, settings: SearchSettings, check_time: Callable[[], object]) -> Found | None:
        """The best point within `settings.evaluations`; None when no point gave finite numbers.

        `check_time` is called once a generation and stops the work by raising. The same input gives the same answer.
        """
        population = population_of(settings.algorithm, problem.size, settings.population, settings.seed)
        sign = -1.0 if problem.maximise else 1.0
        target = None if settings.target is None else sign * settings.target
        best, used, generations = _Best(np.empty(problem.size)), 0, 0
        stopped: StopReason = "evaluations_used"
        while used < settings.evaluations:
            check_time()
            points = population.ask()
            measured = problem.measure(points[: settings.evaluations - used])
            used += len(measured.values)
            generations += 1
            first = int(measured.best_first()[0])
            key = (float(measured.violations[first]), float(measured.values[first]))
            if key < (best.violation, best.value):
                best.point, (best.violation, best.value) = points[first].copy(), key
            if np.isfinite(best.violation):
                best.curve.append(Progress(used, sign * best.value, best.violation))
            if target is not None and best.violation == 0 and best.value <= target:
                stopped = "target_reached"
                break
            if len(measured.values) < len(points):
                break
            population.tell(points, measured)
            if population.converged():
                stopped = "converged"
                break
        if not np.isfinite(best.violation):
            return None
        point = problem.decode(best.point[None])[0]
        return Found(point, sign * best.value, best.violation, used, generations, stopped, _thinned(best.curve))


def _thinned(curve: list[Progress]) -> list[Progress]:
    """At most CURVE_POINTS of the generations, evenly, with the last."""
    if len(curve) <= CURVE_POINTS:
        return curve
    return [curve[place] for place in np.linspace(0, len(curve) - 1, CURVE_POINTS).round().astype(int)]
