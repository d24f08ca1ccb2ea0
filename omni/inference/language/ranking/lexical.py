"""How alike two texts are by their words or characters."""

from __future__ import annotations

from omni.inference.language.words import words


def jaccard(left: str, right: str) -> float:
    """Shared words over all words of both (Jaccard 1901); without any word 1.0 for equal texts, else 0.0."""
    one, other = set(words(left)), set(words(right))
    if not one and not other:
        return float(left == right)
    return len(one & other) / len(one | other)


def edit_similarity(left: str, right: str) -> float:
    """1 - Levenshtein distance / characters of the longer text; 1.0 for two empty ones."""
    longest = max(len(left), len(right))
    return 1.0 if not longest else 1 - levenshtein(left, right) / longest


def levenshtein(left: str, right: str) -> int:
    """Fewest insertions, deletions and replacements of characters that make one text the other.

    Bit-parallel, a column of the matrix in one integer (Myers 1999 as Hyyrö 2003 states it): about
    len(left) · len(right) / 64 steps of the processor.
    """
    if len(left) > len(right):
        left, right = right, left
    if not left:
        return len(right)
    places: dict[str, int] = {}
    for index, letter in enumerate(left):
        places[letter] = places.get(letter, 0) | 1 << index
    full, last = (1 << len(left)) - 1, 1 << (len(left) - 1)
    rising, falling, distance = full, 0, len(left)
    for letter in right:
        equal = places.get(letter, 0)
        diagonal = (((equal & rising) + rising) ^ rising) | equal | falling
        up = falling | (~(diagonal | rising) & full)
        down = rising & diagonal
        distance += bool(up & last) - bool(down & last)
        up = (up << 1 | 1) & full
        down = down << 1 & full
        rising = down | (~(diagonal | up) & full)
        falling = up & diagonal
    return distance
