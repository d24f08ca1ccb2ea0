"""Frequent sets of items and the rules between them, within bounds.

Eclat (Zaki 2000, IEEE Transactions on Knowledge and Data Engineering 12): the baskets of each item are the bits of one
integer, the baskets of a set the conjunction of those of its items. Rules as in Agrawal and Srikant (1994).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

CHECK_EVERY = 1_024
MAX_CONJUNCTIONS = 2_000_000
ROUNDING = 1e-9

Itemset = tuple[int, ...]


class TooMuch(Exception):
    """There are more itemsets, or attempts at one, than may be looked at."""


@dataclass(frozen=True, slots=True)
class Frequent:
    """`names`: items that are frequent alone, in order; `counts`: baskets by itemset of places in `names`."""

    names: list[str]
    counts: dict[Itemset, int]
    different_items: int


@dataclass(frozen=True, slots=True)
class FoundRule:
    """Places of items in `Frequent.names`; counts of baskets."""

    antecedent: Itemset
    consequent: Itemset
    both: int
    antecedent_count: int
    consequent_count: int


def frequent_sets(
    baskets: Sequence[Sequence[str]],
    min_support: float,
    max_length: int,
    most: int,
    check_time: Callable[[], object],
) -> Frequent:
    """All sets of up to `max_length` items in at least a share of `min_support` of the baskets.

    Raises TooMuch above `most` sets; `check_time` stops the work by raising.
    """
    least = max(1.0, min_support * len(baskets) - ROUNDING)
    bits: dict[str, int] = {}
    for place, basket in enumerate(baskets):
        for item in set(basket):
            bits[item] = bits.get(item, 0) | (1 << place)
    names = sorted(item for item, where in bits.items() if where.bit_count() >= least)
    columns = [bits[name] for name in names]
    counts: dict[Itemset, int] = {}
    open_sets: list[tuple[Itemset, int]] = [((place,), column) for place, column in enumerate(columns)]
    conjunctions = 0
    while open_sets:
        itemset, where = open_sets.pop()
        counts[itemset] = where.bit_count()
        if len(counts) + len(open_sets) > most:
            raise TooMuch
        if len(itemset) == max_length:
            continue
        for place in range(itemset[-1] + 1, len(columns)):
            conjunctions += 1
            if conjunctions % CHECK_EVERY == 0:
                check_time()
            if conjunctions > MAX_CONJUNCTIONS:
                raise TooMuch
            both = where & columns[place]
            if both.bit_count() >= least:
                open_sets.append(((*itemset, place), both))
    return Frequent(names, counts, len(bits))


def rules(frequent: Frequent, min_confidence: float) -> Iterator[FoundRule]:
    """Every split of every set with at least that confidence."""
    counts = frequent.counts
    for itemset, both in counts.items():
        for size in range(1, len(itemset)):
            for antecedent in combinations(itemset, size):
                if both / counts[antecedent] >= min_confidence - ROUNDING:
                    consequent = tuple(item for item in itemset if item not in antecedent)
                    yield FoundRule(antecedent, consequent, both, counts[antecedent], counts[consequent])
