"""Labels by the cosine of a text and a sentence about the label. Heavy: numpy is loaded at first use.

The idea is that of Yin, Hay and Roth 2019 ("Benchmarking Zero-shot Text Classification"), with a bi-encoder's cosine in
the place of entailment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omni.inference.language.pooling import pooled
from omni.inference.language.text_vectors import Windows

SCALE = 20.0
"""Of the softmax over cosines: cautious; on tests/inference/language/labelled.py a higher one only fits better because
nearly every choice is right."""
MULTI_SCALE, MULTI_MIDDLE = 40.0, 0.11
"""Logistic curve of a label by itself: on the same set nine of ten wrong labels are below the middle, nine of ten right
ones above."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of each text and label, both float64 [texts, labels]."""

    scores: np.ndarray
    cosines: np.ndarray | None


class ZeroShot:
    """Scores labels. Safe to use from several threads: it holds nothing."""

    def score(self, windows: Windows, texts: int, multi_label: bool) -> Scores:
        """The first `texts` of `windows` are what is classified, the others the labels' sentences."""
        vectors = pooled(windows).astype(np.float64)
        cosines = np.clip(vectors[:texts] @ vectors[texts:].T, -1.0, 1.0)
        if multi_label:
            return Scores(1 / (1 + np.exp(-MULTI_SCALE * (cosines - MULTI_MIDDLE))), cosines)
        return Scores(softmax(SCALE * cosines), cosines)


def softmax(values: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
