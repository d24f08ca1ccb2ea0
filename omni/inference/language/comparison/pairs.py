"""Pairs of sentences of two texts, and which of them changed places."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence before and after; cosine None = the same text."""

    before: int
    after: int
    cosine: float | None


def equal_pairs(before: Sequence[str], after: Sequence[str]) -> list[Pair]:
    """Sentences that are the same, each in one pair at most: the first with the first."""
    places: defaultdict[str, deque[int]] = defaultdict(deque)
    for index, text in enumerate(before):
        places[text].append(index)
    return [Pair(places[text].popleft(), index, None) for index, text in enumerate(after) if places[text]]


def in_order(pairs: Sequence[Pair]) -> set[Pair]:
    """The most pairs that stand in the same order in both texts (longest increasing subsequence, by patience)."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    ordered = sorted(pairs, key=lambda pair: pair.after)
    for index, pair in enumerate(ordered):
        place = bisect_left(tails, pair.before)
        previous.append(ends[place - 1] if place else -1)
        tails[place : place + 1] = [pair.before]
        ends[place : place + 1] = [index]
    kept: set[Pair] = set()
    index = ends[-1] if ends else -1
    while index >= 0:
        kept.add(ordered[index])
        index = previous[index]
    return kept
