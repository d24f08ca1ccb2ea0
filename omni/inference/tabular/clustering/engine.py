"""Clusters with scikit-learn and scipy. Heavy: loaded at first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from sklearn.mixture import GaussianMixture

from omni.inference.tabular.clustering.schemas import Method

FULL_COVARIANCES = 10
LEAST_VARIANCE = 1e-4
STARTS = 10
MIXTURE_STARTS = 2
MIXTURE_STEPS = 200


@dataclass(frozen=True, slots=True)
class Scores:
    silhouette: float
    davies_bouldin: float
    calinski_harabasz: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """`labels`: int [rows], 0 the largest cluster, -1 noise; `tried`: silhouettes by number of clusters."""

    labels: np.ndarray
    scores: Scores | None
    tried: dict[int, float | None]


class Clusterer:
    """Finds clusters. Keeps nothing between calls."""

    def __init__(self) -> None:
        self.name = f"scikit-learn-{version('scikit-learn')}"

    def cluster(
        self, matrix: np.ndarray, method: Method, numbers: range, seed: int, check_time: Callable[[], object]
    ) -> Found:
        """Clusters of float64 [rows, features]; of several numbers of clusters the one with the best silhouette.

        There must be at least as many different rows as the largest number. `check_time` stops the work by raising.
        """
        distances = squareform(pdist(matrix))
        tree = linkage(matrix, "ward") if method == "agglomerative" else None
        found: dict[int, tuple[float | None, np.ndarray]] = {}
        for number in numbers:
            check_time()
            labels = _by_size(_labels(matrix, method, number, seed, tree))
            found[number] = (_silhouette(distances, labels), labels)
        best = max(found, key=lambda number: -2.0 if found[number][0] is None else float(found[number][0] or 0))
        tried = {number: silhouette for number, (silhouette, _) in found.items()}
        return Found(found[best][1], _scores(matrix, distances, found[best][1]), tried if len(numbers) > 1 else {})

    def dense_regions(self, matrix: np.ndarray, min_cluster_size: int) -> Found:
        """Clusters by HDBSCAN (Campello, Moulavi, Sander 2013)."""
        engine = HDBSCAN(min_cluster_size=min_cluster_size, copy=True)
        labels = _by_size(np.asarray(engine.fit_predict(matrix)))
        return Found(labels, _scores(matrix, squareform(pdist(matrix)), labels), {})


def _labels(matrix: np.ndarray, method: Method, number: int, seed: int, tree: Any) -> np.ndarray:
    if tree is not None:
        return np.asarray(fcluster(tree, number, "maxclust"))
    if method == "kmeans":
        return np.asarray(KMeans(number, n_init=STARTS, random_state=seed).fit_predict(matrix))
    shape = "full" if matrix.shape[1] <= FULL_COVARIANCES else "diag"
    scale = max(1.0, float(np.max(np.var(matrix, axis=0))))
    mixture = GaussianMixture(
        number,
        covariance_type=shape,
        reg_covar=LEAST_VARIANCE * scale,
        n_init=MIXTURE_STARTS,
        max_iter=MIXTURE_STEPS,
        random_state=seed,
    )
    return np.asarray(mixture.fit_predict(matrix))


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Labels from 0 by falling size, among equal ones by the first row."""
    names, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = sorted(range(len(names)), key=lambda place: (-int(sizes[place]), int(first[place])))
    renamed = np.full(len(labels), -1)
    for new, place in enumerate(order):
        renamed[labels == names[place]] = new
    return renamed


def _silhouette(distances: np.ndarray, labels: np.ndarray) -> float | None:
    inside = labels >= 0
    clusters = len(np.unique(labels[inside]))
    if not 2 <= clusters < np.count_nonzero(inside):
        return None
    return float(silhouette_score(distances[np.ix_(inside, inside)], labels[inside], metric="precomputed"))


def _scores(matrix: np.ndarray, distances: np.ndarray, labels: np.ndarray) -> Scores | None:
    silhouette = _silhouette(distances, labels)
    if silhouette is None:
        return None
    points, names = matrix[labels >= 0], labels[labels >= 0]
    within = sum(float(np.sum((points[names == name] - points[names == name].mean(0)) ** 2)) for name in set(names))
    return Scores(
        silhouette,
        float(davies_bouldin_score(points, names)),
        float(calinski_harabasz_score(points, names)) if within > 0 else None,
    )
