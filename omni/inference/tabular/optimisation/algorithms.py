"""Populations that look for the best point of the unit box: each is asked for points and told how good they were."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from cmaes import CMA

from omni.inference.tabular.optimisation.problem import Algorithm, Measured

CONSTRICTION = 0.72984  # of Clerc and Kennedy for an acceleration of 4.1
ACCELERATION = 4.1 / 2
SWARM_SIZE = 40
CROSSOVER = 0.9
FACTORS = (0.5, 1.0)  # the differential weight is drawn anew for each generation
FIRST_STEP = 0.3  # of CMA-ES: a third of the box
RESAMPLES = 1  # points outside the box are drawn once more, then moved to its wall
CONVERGED_SPREAD = 1e-10  # of the box


class Population(Protocol):
    """What searches. All points are float64 [points, variables] in the unit box."""

    def ask(self) -> np.ndarray:
        """The next points to measure."""

    def tell(self, points: np.ndarray, measured: Measured) -> None:
        """How good the points last asked for are."""

    def converged(self) -> bool:
        """Whether the points are one point in all but name."""


def population_of(algorithm: Algorithm, variables: int, size: int | None, seed: int) -> Population:
    """A population of `size`, or of the size that its authors advise."""
    random = np.random.default_rng(seed)
    if algorithm == "particle_swarm":
        return ParticleSwarm(variables, size or SWARM_SIZE, random)
    if algorithm == "differential_evolution":
        return DifferentialEvolution(variables, size or min(100, max(20, 10 * variables)), random)
    return CovarianceAdaptation(variables, size, random)


class ParticleSwarm:
    """Particle swarm with constriction (Clerc and Kennedy 2002, IEEE Trans. Evolutionary Computation 6) on a ring: each
    particle knows the best place of itself and its two neighbours (Bratton and Kennedy 2007, Standard PSO). A particle
    that leaves the box stays at its wall and stands still in that direction.
    """

    def __init__(self, variables: int, size: int, random: np.random.Generator) -> None:
        self._random = random
        self._places = random.random((size, variables))
        self._speeds = (random.random((size, variables)) - self._places) / 2
        self._best_places = self._places
        self._best: Measured | None = None

    def ask(self) -> np.ndarray:
        if self._best is None:
            return self._places
        ranks = np.empty(len(self._places), int)
        ranks[self._best.best_first()] = np.arange(len(ranks))
        here = np.arange(len(ranks))
        ring = np.stack([np.roll(here, 1), here, np.roll(here, -1)])
        leaders = ring[np.argmin(ranks[ring], axis=0), here]
        own, others = self._random.random((2, *self._places.shape)) * ACCELERATION
        pull = own * (self._best_places - self._places) + others * (self._best_places[leaders] - self._places)
        self._speeds = CONSTRICTION * (self._speeds + pull)
        moved = self._places + self._speeds
        self._places = np.clip(moved, 0, 1)
        self._speeds = np.where(moved == self._places, self._speeds, 0.0)
        return self._places

    def tell(self, points: np.ndarray, measured: Measured) -> None:
        if self._best is None:
            self._best = measured
            return
        better = measured.better_than(self._best)
        self._best_places = np.where(better[:, None], points, self._best_places)
        self._best = self._best.replaced(better, measured)

    def converged(self) -> bool:
        return float(np.max(np.ptp(self._best_places, axis=0))) < CONVERGED_SPREAD


class DifferentialEvolution:
    """rand/1/bin (Storn and Price 1997, Journal of Global Optimization 11). A part of a trial that leaves the box is
    drawn between the wall and where its parent is.
    """

    def __init__(self, variables: int, size: int, random: np.random.Generator) -> None:
        self._random = random
        self._points = random.random((size, variables))
        self._measured: Measured | None = None

    def ask(self) -> np.ndarray:
        if self._measured is None:
            return self._points
        size, variables = self._points.shape
        first, second, third = self._three_others()
        factor = self._random.uniform(*FACTORS)
        mutants = self._points[first] + factor * (self._points[second] - self._points[third])
        wall = np.clip(mutants, 0, 1)
        back = wall + self._random.random(mutants.shape) * (self._points - wall)
        mutants = np.where(mutants == wall, mutants, back)
        crossed = self._random.random((size, variables)) < CROSSOVER
        crossed[np.arange(size), self._random.integers(variables, size=size)] = True
        return np.where(crossed, mutants, self._points)

    def tell(self, points: np.ndarray, measured: Measured) -> None:
        if self._measured is None:
            self._measured = measured
            return
        kept = ~self._measured.better_than(measured)
        self._points = np.where(kept[:, None], points, self._points)
        self._measured = self._measured.replaced(kept, measured)

    def converged(self) -> bool:
        return float(np.max(np.ptp(self._points, axis=0))) < CONVERGED_SPREAD

    def _three_others(self) -> np.ndarray:
        """int [3, points]: for each point three others, no two alike."""
        size = len(self._points)
        order = np.argsort(self._random.random((size, size - 1)), axis=1)[:, :3]
        return np.asarray(order + (order >= np.arange(size)[:, None])).T


class CovarianceAdaptation:
    """CMA-ES (Hansen 2016, arXiv:1604.00772) of the package cmaes, told ranks in place of values: it needs no more.

    A run that has converged is followed by one from another place with twice the points (IPOP, Auger and Hansen 2005).
    """

    def __init__(self, variables: int, size: int | None, random: np.random.Generator) -> None:
        self._random = random
        self._best, self._same = (np.inf, np.inf), 0
        self._engine = self._started(np.full(variables, 0.5), size)

    def ask(self) -> np.ndarray:
        return np.stack([self._engine.ask() for _ in range(self._engine.population_size)])

    def tell(self, points: np.ndarray, measured: Measured) -> None:
        order = measured.best_first()
        self._engine.tell([(points[place], float(rank)) for rank, place in enumerate(order)])
        best = (float(measured.violations[order[0]]), float(measured.values[order[0]]))
        self._best, self._same = best, self._same + 1 if best == self._best else 0
        flat = self._same > 10 + 30 * points.shape[1] / len(points)  # Hansen's TolFunHist
        if flat or self._engine.should_stop() or float(np.max(np.ptp(points, axis=0))) < CONVERGED_SPREAD:
            self._engine = self._started(self._random.random((points.shape[1],)), 2 * len(points))

    def converged(self) -> bool:
        return False

    def _started(self, mean: np.ndarray, size: int | None) -> CMA:
        box = np.tile([0.0, 1.0], (len(mean), 1))
        seed = int(self._random.integers(2**32))
        return CMA(mean, FIRST_STEP, box, n_max_resampling=RESAMPLES, seed=seed, population_size=size)
