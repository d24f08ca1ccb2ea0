"""Which phrases and sentences stand for a whole text. Heavy: numpy is loaded at first use."""

from __future__ import annotations

import numpy as np

from omni.inference.language.pooling import pooled
from omni.inference.language.text_vectors import Windows

DAMPING = 0.85
STEPS, TOLERANCE = 200, 1e-9
SAME = 0.95  # a sentence with a higher cosine to a chosen one repeats it


class Centrality:
    """Safe to use from several threads: it holds nothing."""

    def keywords(self, windows: Windows, top_k: int, diversity: float) -> list[tuple[int, float]]:
        """Index and cosine of the chosen phrases; the first text of `windows` is the whole, the others the phrases.

        As KeyBERT (Grootendorst 2020, https://github.com/MaartenGr/KeyBERT): closest to the text's vector, spread by
        maximal marginal relevance (Carbonell and Goldstein 1998).
        """
        vectors = pooled(windows).astype(np.float64)
        phrases = vectors[1:]
        relevance = np.clip(phrases @ vectors[0], -1.0, 1.0)
        chosen: list[int] = []
        closest = np.full(len(phrases), -np.inf)
        open_ = np.ones(len(phrases), bool)
        for _ in range(min(top_k, len(phrases))):
            gains = relevance if not chosen else (1 - diversity) * relevance - diversity * closest
            best = int(np.where(open_, gains, -np.inf).argmax())
            chosen.append(best)
            open_[best] = False
            closest = np.maximum(closest, phrases @ phrases[best])
        return [(index, float(relevance[index])) for index in chosen]

    def sentences(self, windows: Windows, count: int, method: str) -> list[tuple[int, float]]:
        """Index and score of at most `count` sentences, best first, without repetitions."""
        vectors = pooled(windows).astype(np.float64)
        scores = lexrank(vectors) if method == "lexrank" else _to_centroid(vectors)
        chosen: list[int] = []
        for index in np.argsort(-scores, kind="stable").tolist():
            if len(chosen) == count:
                break
            if not chosen or float((vectors[chosen] @ vectors[index]).max()) < SAME:
                chosen.append(index)
        return [(index, float(scores[index])) for index in chosen]


def lexrank(vectors: np.ndarray) -> np.ndarray:
    """Continuous LexRank (Erkan and Radev 2004), float64 [sentences], sum 1: the share of time that a random walk
    spends at each sentence when it goes on by cosine (negative = 0) and starts anew with probability 0.15.
    """
    weights = np.clip(vectors @ vectors.T, 0.0, 1.0)
    steps = weights / weights.sum(axis=1, keepdims=True)
    scores = np.full(len(vectors), 1 / len(vectors))
    for _ in range(STEPS):
        following = (1 - DAMPING) / len(vectors) + DAMPING * (scores @ steps)
        moved = float(np.abs(following - scores).sum())
        scores = following
        if moved < TOLERANCE:
            break
    return scores


def _to_centroid(vectors: np.ndarray) -> np.ndarray:
    mean = vectors.mean(axis=0)
    cosines: np.ndarray = np.clip(vectors @ (mean / max(float(np.linalg.norm(mean)), 1e-12)), -1.0, 1.0)
    return cosines
