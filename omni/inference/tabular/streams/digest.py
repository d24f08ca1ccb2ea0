"""A t-digest: the distribution of numbers that come one by one, in about a hundred of them.

Dunning and Ertl (2019), "Computing Extremely Accurate Quantiles Using t-Digests" (arXiv 1902.04023): merging, scale
function k1. Old numbers may weigh less: weights grow forward, as Cormode et al. (2009), "Forward Decay", have it.
"""

from __future__ import annotations

import math
from bisect import bisect_left

COMPRESSION = 100.0
_MOST_UNMERGED = 200
_LARGEST_WEIGHT = 1e12
_SMALLEST_SHARE = 1e-12


class Digest:
    """Centroids in order, with their weights. `half_life`: numbers after which an old one weighs half."""

    def __init__(self, half_life: float = math.inf) -> None:
        self._growth = 2 ** (1 / half_life)
        self._means: list[float] = []
        self._weights: list[float] = []
        self._next_weight = 1.0

    def add(self, value: float) -> None:
        """Counts a finite number."""
        place = bisect_left(self._means, value)
        self._means.insert(place, value)
        self._weights.insert(place, self._next_weight)
        self._next_weight *= self._growth
        if len(self._means) > _MOST_UNMERGED or self._next_weight > _LARGEST_WEIGHT:
            self._merge()

    def quantile(self, share: float) -> float:
        """Between the centres of two centroids by their weights; there must be a number."""
        wanted = share * sum(self._weights)
        centre = before = 0.0
        for place, (mean, weight) in enumerate(zip(self._means, self._weights, strict=True)):
            last, centre = centre, before + weight / 2
            if centre >= wanted:
                if place == 0:
                    return mean
                below = self._means[place - 1]
                return below + (mean - below) * (wanted - last) / (centre - last)
            before += weight
        return self._means[-1]

    def state(self) -> tuple[list[float], list[float]]:
        """Means and weights, the last weight that of the next number."""
        self._merge()
        return self._means, [*self._weights, self._next_weight]

    @classmethod
    def of_state(cls, half_life: float, means: list[float], weights: list[float]) -> Digest:
        """The digest that `state` was called of."""
        digest = cls(half_life)
        digest._means, digest._weights, digest._next_weight = means, weights[:-1], weights[-1]
        return digest

    def _merge(self) -> None:
        """Joins neighbours, as far as the scale function lets them be one centroid: small ones at the ends."""
        total = sum(self._weights)
        means: list[float] = []
        weights: list[float] = []
        done = 0.0  # the share of all closed centroids
        for mean, weight in zip(self._means, self._weights, strict=True):
            if weight < _SMALLEST_SHARE * total:
                continue
            if means and done + (weights[-1] + weight) / total <= _end_of_centroid(done):
                weights[-1] += weight
                means[-1] += (mean - means[-1]) * weight / weights[-1]
            else:
                done += weights[-1] / total if weights else 0.0
                means.append(mean)
                weights.append(weight)
        self._means, self._weights = means, [weight / self._next_weight for weight in weights]
        self._next_weight = 1.0


def _end_of_centroid(begin: float) -> float:
    """The share up to which a centroid that begins at a share may reach: one step of k1."""
    step = math.asin(2 * min(begin, 1.0) - 1) + 2 * math.pi / COMPRESSION
    return (math.sin(step) + 1) / 2 if step < math.pi / 2 else 1.0
