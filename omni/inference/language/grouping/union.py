"""Groups from pairs that belong together."""

from __future__ import annotations

from collections.abc import Iterable


def groups_of(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected components of 0 … count - 1 with more than one member, each in order, by their first member."""
    parents = list(range(count))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    found: dict[int, list[int]] = {}
    for index in range(count):
        found.setdefault(root(index), []).append(index)
    return [members for members in found.values() if len(members) > 1]


def representative(members: list[int], similarities: dict[tuple[int, int], float]) -> int:
    """The member with the highest sum of known similarities (`(lower, higher)` index → value) to the others."""
    sums = dict.fromkeys(members, 0.0)
    inside = set(members)
    for (one, other), similarity in similarities.items():
        if one in inside and other in inside:
            sums[one] += similarity
            sums[other] += similarity
    return max(members, key=lambda index: (sums[index], -index))
