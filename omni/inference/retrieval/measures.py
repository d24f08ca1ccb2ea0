"""How good a ranking is: recall, precision, reciprocal rank and normalised discounted cumulative gain, all at k.

A ranking is, for each of its chunks, the set of targets that the chunk meets. A target counts once: at the first chunk
that meets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2


@dataclass(frozen=True, slots=True)
class Measures:
    """All 0 to 1."""

    recall: float
    precision: float
    reciprocal_rank: float
    ndcg: float


def measures_at(k: int, ranking: Sequence[frozenset[int]], targets: int) -> Measures:
    """The measures of a ranking's first `k` chunks for `targets` targets (at least one).

    recall: share of targets met. precision: share of k places with a chunk that meets any. reciprocal rank: 1 / place
    of the first such chunk, 0 without one. nDCG (Järvelin and Kekäläinen 2002), gain 1 for each chunk that meets a
    target for the first time: the sum of gain / log2(place + 1), by that of the best order; targets that no chunk of
    the k meets would each have had a chunk of their own in it.
    """
    met: set[int] = set()
    relevant, first, gained, gains = 0, 0, 0.0, 0
    for place, meets in enumerate(ranking[:k], 1):
        if not meets:
            continue
        relevant += 1
        first = first or place
        if meets - met:
            gained += 1 / log2(place + 1)
            gains += 1
            met |= meets
    best = sum(1 / log2(place + 1) for place in range(1, min(k, gains + targets - len(met)) + 1))
    return Measures(len(met) / targets, relevant / k, 1 / first if first else 0.0, gained / best)


def mean_of(found: Sequence[Measures]) -> Measures:
    """Their means; the one of reciprocal ranks is called MRR. Needs at least one."""
    count = len(found)
    return Measures(
        sum(each.recall for each in found) / count,
        sum(each.precision for each in found) / count,
        sum(each.reciprocal_rank for each in found) / count,
        sum(each.ndcg for each in found) / count,
    )
