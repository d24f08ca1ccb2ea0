"""BM25 over a set of texts that came with the request (Robertson and Zaragoza 2009, "The Probabilistic Relevance
Framework").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from omni.inference.language.words import terms

K1, B = 1.2, 0.75


def shares(query: str, texts: Sequence[str], seconds_left: Callable[[], float]) -> list[float]:
    """For each text its BM25 score over the highest that any text could have: 0 = no word of the query, 1 = all.

    The weight of a word is Lucene's ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative. Raises
    DeadlineExceeded from `seconds_left`.
    """
    wanted = set(terms(query))
    counts: list[Counter[str]] = []
    lengths: list[int] = []
    for text in texts:
        seconds_left()
        found = terms(text)
        lengths.append(len(found))
        counts.append(Counter(term for term in found if term in wanted))
    holders = Counter(term for counted in counts for term in counted)
    weights = {term: math.log(1 + (len(texts) - holders[term] + 0.5) / (holders[term] + 0.5)) for term in wanted}
    most = sum(weights.values()) * (K1 + 1)
    if not most:
        return [0.0] * len(texts)
    average = sum(lengths) / len(lengths) or 1.0
    return [
        sum(
            weights[term] * count * (K1 + 1) / (count + K1 * (1 - B + B * length / average))
            for term, count in counted.items()
        )
        / most
        for counted, length in zip(counts, lengths, strict=True)
    ]
