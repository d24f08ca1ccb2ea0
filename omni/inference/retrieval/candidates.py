"""Which chunks are worth ranking by their words: those whose words of the query tell the most together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log

COMBINED_WORDS = 8  # most words whose combinations are weighed, rarest first
READ_CHUNKS = 10_000  # most chunks that the index of words goes through, unless the rarest word alone is in more
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query and the number of chunks of the collection that it is in, at least one."""

    text: str
    chunk_count: int

    def idf(self, total: int) -> float:
        """That of BM25 (Robertson and Zaragoza 2009) in a collection of `total` chunks."""
        return log(1 + max(0.0, total - self.chunk_count + 0.5) / (self.chunk_count + 0.5))

    @property
    def query(self) -> str:
        """A tsquery in its text form, quoted as tsqueryin expects."""
        return "'" + self.text.replace("\\", "\\\\").replace("'", "''") + "'"


def any_of(words: Sequence[Word]) -> str:
    """The tsquery for chunks that have any of the words."""
    return " | ".join(word.query for word in words)


def most_telling(
    words: Sequence[Word], total: int, searched: int, most: int, readable: int = READ_CHUNKS
) -> tuple[str, str]:
    """Two tsqueries: for the chunks whose words have the greatest sums of idf, about `most` of them, and for about
    twice as many. `words` come rarest first; `searched` of the collection's `total` chunks are looked at.

    How many chunks have a combination of words is reckoned as if words came independently. A combination counts only
    with one of the rare words in it, which are in `readable` chunks together: the index finds it by their short lists,
    the essential ones of MaxScore (Turtle and Flood 1995), and skips through the others.
    """
    having_any = sum(word.chunk_count for word in words)
    if having_any <= readable and having_any * searched <= most * total:
        return any_of(words), any_of(words)
    words = words[:COMBINED_WORDS]
    idfs = [word.idf(total) for word in words]
    rare = max(1, sum(read <= readable for read in accumulate(word.chunk_count for word in words)))
    combinations = [(0.0, float(searched))]  # the sum of idf, and how many chunks have just these words
    for number, (word, idf) in enumerate(zip(words, idfs, strict=True), 1):
        share = min(1.0, word.chunk_count / total)
        having = [(weight + idf, chunks * share) for weight, chunks in combinations]
        combinations = [(weight, chunks * (1 - share)) for weight, chunks in combinations] + having
        if number == rare:
            del combinations[0]
    combinations.sort(reverse=True)
    reckoned = list(accumulate(chunks for _, chunks in combinations))
    narrow = max(1, sum(chunks <= most for chunks in reckoned))
    wide = max(narrow, min(len(combinations), 1 + sum(chunks < 2 * most for chunks in reckoned)))
    queries = [word.query for word in words]
    return (
        _at_least(combinations[narrow - 1][0] - _ROUNDING, queries, idfs, rare),
        _at_least(combinations[wide - 1][0] - _ROUNDING, queries, idfs, rare),
    )


def _at_least(needed: float, queries: Sequence[str], idfs: Sequence[float], rare: int) -> str:
    """The tsquery for words whose idfs sum up to `needed`, one of the first `rare` among them."""

    def rest(first: int, missing: float, has_rare: bool) -> str | None:
        """What has to follow from word `first` on: "" for nothing, None for what cannot be."""
        if missing <= 0:
            return ""
        if (first >= rare and not has_rare) or sum(idfs[first:]) < missing:
            return None
        having, lacking = rest(first + 1, missing - idfs[first], True), rest(first + 1, missing, has_rare)
        if having is None or having == lacking:
            return lacking
        alone = f"{queries[first]} & ({having})" if having else queries[first]
        return alone if lacking is None else f"{alone} | {lacking}"

    found = rest(0, needed, False)
    assert found
    return found
