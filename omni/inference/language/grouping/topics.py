"""Words that tell clusters apart: class-based TF-IDF (Grootendorst 2022, "BERTopic")."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from omni.inference.language.words import STOP_WORDS, words


def keywords(clusters: Sequence[Sequence[str]], count: int) -> list[list[tuple[str, float]]]:
    """For each cluster of texts its `count` best words with their weight: share of the cluster's words times
    ln(1 + mean words a cluster / occurrences in all).
    """
    counts = [Counter(word for text in texts for word in words(text) if _carries(word)) for texts in clusters]
    everywhere: Counter[str] = Counter()
    for counted in counts:
        everywhere.update(counted)
    average = sum(everywhere.values()) / len(clusters)
    found = []
    for counted in counts:
        total = sum(counted.values())
        weights = {word: n / total * math.log(1 + average / everywhere[word]) for word, n in counted.items()}
        found.append(sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:count])
    return found


def _carries(word: str) -> bool:
    return len(word) > 1 and word not in STOP_WORDS and not word.isdecimal()
