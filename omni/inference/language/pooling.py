"""Vectors of texts from the vectors of their windows. Heavy: numpy is loaded at first use."""

from __future__ import annotations

import numpy as np

from omni.inference.language.text_vectors import Windows


def pooled(windows: Windows) -> np.ndarray:
    """One vector of length 1 a text, float32 [texts, dimensions]: the mean of its windows weighted by their tokens."""
    vectors = np.stack(windows.vectors)
    if windows.owners == list(range(len(windows.owners))):
        return vectors
    sums = np.zeros((windows.owners[-1] + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, windows.owners, vectors * np.array(windows.tokens, np.float32)[:, None])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.maximum(lengths, 1e-12), np.float32)


def best_cosines(windows: Windows, query: np.ndarray) -> np.ndarray:
    """For each text the cosine of its closest window to the query, float32 [texts], -1 to 1."""
    cosines = np.clip(np.stack(windows.vectors) @ query, -1.0, 1.0)
    best = np.full(windows.owners[-1] + 1, -1.0, np.float32)
    np.maximum.at(best, windows.owners, cosines)
    return best
