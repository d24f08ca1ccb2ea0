"""Near-duplicates by shingles: MinHash finds candidates, the exact Jaccard similarity decides. Heavy: loaded at first
use.

Broder 1997 ("On the resemblance and containment of documents"); bands of hashes as in Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, product

from datasketch import MinHash, MinHashLSH

from omni.inference.language.words import words

PERMUTATIONS = 128
RECALL = 0.99  # least chance that a pair just at the threshold becomes a candidate
Shingles = frozenset[tuple[str, ...]]


class NearDuplicates:
    """Finds pairs. Safe to use from several threads: it holds nothing."""

    def pairs(
        self, texts: Sequence[str], shingle_words: int, threshold: float, seconds_left: Callable[[], float]
    ) -> tuple[dict[tuple[int, int], float], Callable[[int, int], float]]:
        """Pairs of texts (lower, higher index) of at least the threshold with their similarity, and how to compare any
        two. Texts without a word are duplicates of nothing.

        Raises DeadlineExceeded from `seconds_left`.
        """
        shingles = [shingles_of(text, shingle_words) for text in texts]
        copies: dict[Shingles, list[int]] = {}
        found: dict[tuple[int, int], float] = {}
        index = MinHashLSH(num_perm=PERMUTATIONS, params=bands(threshold))
        for place, own in enumerate(shingles):
            seconds_left()
            if not own:
                continue
            if own in copies:
                copies[own].append(place)
                continue
            copies[own] = [place]
            hashed = MinHash(num_perm=PERMUTATIONS)
            hashed.update_batch(["\x1f".join(shingle).encode("utf-8", "surrogatepass") for shingle in own])
            for other in index.query(hashed):
                similarity = jaccard(own, shingles[other])
                if similarity >= threshold:
                    found[other, place] = similarity
            index.insert(place, hashed)
        for (one, other), similarity in list(found.items()):
            alike = product(copies[shingles[one]], copies[shingles[other]])
            found.update(((min(pair), max(pair)), similarity) for pair in alike)
        for same in copies.values():
            found.update((pair, 1.0) for pair in combinations(same, 2))
        return found, lambda one, other: jaccard(shingles[one], shingles[other])


def bands(threshold: float) -> tuple[int, int]:
    """How many bands of how many hashes: the longest bands with which a pair at the threshold meets in one of them with
    a chance of RECALL. False candidates only cost a comparison.
    """
    for rows in range(PERMUTATIONS // 2, 0, -1):
        count = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** count >= RECALL:
            return count, rows
    return PERMUTATIONS, 1


def shingles_of(text: str, size: int) -> Shingles:
    """All runs of `size` words; a shorter text is one run."""
    found = words(text)
    if not found:
        return frozenset()
    return frozenset(tuple(found[start : start + size]) for start in range(max(1, len(found) - size + 1)))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Common shingles over all; neither is empty."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)
