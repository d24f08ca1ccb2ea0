"""Clusters of vectors. Heavy: scikit-learn is loaded at first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import silhouette_score

from omni.inference.language.pooling import pooled
from omni.inference.language.text_vectors import Windows
from omni.kit.errors import InvalidInput

MOST_TRIED = 12
STARTS, STARTS_TRIED = 10, 3  # of k-means, from which the best is taken: for the answer, and to find the number
MAX_ITERATIONS = 100
OUTLIER = -1


@dataclass(frozen=True, slots=True)
class Clusters:
    """Members of each cluster with their cosine to its centre, closest first; largest cluster first."""

    members: list[list[tuple[int, float]]]
    outliers: list[int]
    silhouette: float | None


class Clustering:
    """Safe to use from several threads: it holds nothing."""

    def similar(self, windows: Windows, threshold: float) -> tuple[dict[tuple[int, int], float], np.ndarray]:
        """Pairs of texts (lower, higher index) whose cosine is at least the threshold, and all cosines."""
        vectors = pooled(windows).astype(np.float64)
        cosines = np.clip(vectors @ vectors.T, -1.0, 1.0)
        rows, columns = np.nonzero(np.triu(cosines >= threshold, 1))
        pairs = {
            (row, column): float(cosines[row, column])
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        }
        return pairs, cosines

    def kmeans(self, windows: Windows, clusters: int | None, seconds_left: Callable[[], float]) -> Clusters:
        """k-means (Lloyd; k-means++ starts) of vectors of length 1; `clusters` None = the number from 2 to 12 with the
        best silhouette. One cluster when all texts have one vector.

        Raises InvalidInput `too_few_different_texts` and DeadlineExceeded from `seconds_left`.
        """
        vectors = pooled(windows).astype(np.float64)
        different = len(np.unique(vectors.round(6), axis=0))
        if clusters is not None and clusters > different:
            raise InvalidInput(
                "too_few_different_texts",
                f"{clusters} clusters need as many different texts; there are {different}.",
                param="clusters",
            )
        if different == 1:
            return _clusters(vectors, np.zeros(len(vectors), int))
        if clusters is None:
            tried = {}
            for number in range(2, min(MOST_TRIED, different, len(vectors) - 1) + 1):
                seconds_left()
                tried[number] = _silhouette(vectors, _kmeans(vectors, number, STARTS_TRIED)) or -1.0
            clusters = max(tried, key=lambda number: tried[number])
        seconds_left()
        return _clusters(vectors, _kmeans(vectors, clusters, STARTS))

    def hdbscan(self, windows: Windows, min_cluster_size: int) -> Clusters:
        """HDBSCAN of vectors of length 1. Raises InvalidInput `too_few_different_texts` for fewer texts than a cluster
        needs.
        """
        vectors = pooled(windows).astype(np.float64)
        if len(vectors) < min_cluster_size:
            raise InvalidInput(
                "too_few_different_texts",
                f"A cluster needs {min_cluster_size} texts; there are {len(vectors)}.",
                param="min_cluster_size",
            )
        return _clusters(vectors, HDBSCAN(min_cluster_size=min_cluster_size, copy=True).fit_predict(vectors))


def _kmeans(vectors: np.ndarray, number: int, starts: int) -> np.ndarray:
    model = KMeans(number, n_init=starts, max_iter=MAX_ITERATIONS, random_state=0)
    return np.asarray(model.fit_predict(vectors))


def _clusters(vectors: np.ndarray, labels: np.ndarray) -> Clusters:
    members = []
    for label in np.unique(labels[labels != OUTLIER]):
        places = np.flatnonzero(labels == label)
        centre = vectors[places].mean(axis=0)
        cosines = np.clip(vectors[places] @ centre / max(float(np.linalg.norm(centre)), 1e-12), -1.0, 1.0)
        order = np.argsort(-cosines, kind="stable")
        members.append([(int(places[place]), float(cosines[place])) for place in order])
    members.sort(key=lambda found: (-len(found), min(index for index, _ in found)))
    return Clusters(members, np.flatnonzero(labels == OUTLIER).tolist(), _silhouette(vectors, labels))


def _silhouette(vectors: np.ndarray, labels: np.ndarray) -> float | None:
    inside = labels != OUTLIER
    number = len(np.unique(labels[inside]))
    if not 2 <= number < int(inside.sum()):
        return None
    return float(silhouette_score(vectors[inside], labels[inside], metric="cosine"))
