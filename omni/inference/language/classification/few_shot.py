"""Labels learnt from examples' vectors: logistic regression, or the nearest centroid. Heavy: loaded at first use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from omni.inference.language.classification.schemas import MAX_REGRESSION_SIZE
from omni.inference.language.classification.zero_shot import SCALE, Scores, softmax
from omni.inference.language.pooling import pooled
from omni.inference.language.text_vectors import Windows

MIN_EXAMPLES_REGRESSION = 3  # a label; below, a centroid is as good and steadier
MIN_EXAMPLES_VALIDATION = 8
MAX_FOLDS = 5
INVERSE_REGULARISATION = 10.0  # vectors have length 1, so the default of 1 keeps all probabilities near each other
MAX_ITERATIONS, TOLERANCE = 300, 1e-3


@dataclass(frozen=True, slots=True)
class Validation:
    """Of predictions for examples that were not learnt from."""

    folds: int
    accuracy: float
    majority_share: float


class FewShot:
    """Learns and predicts within one request. Safe to use from several threads: it holds nothing."""

    def method(self, wanted: str, labels: Sequence[int]) -> str:
        """`logistic_regression` or `nearest_centroid`."""
        if wanted != "auto":
            return wanted
        counts = Counter(labels)
        enough = min(counts.values()) >= MIN_EXAMPLES_REGRESSION and len(labels) * len(counts) <= MAX_REGRESSION_SIZE
        return "logistic_regression" if enough else "nearest_centroid"

    def score(
        self, windows: Windows, texts: int, labels: Sequence[int], method: str, seconds_left: Callable[[], float]
    ) -> tuple[Scores, Validation | None]:
        """The first `texts` of `windows` are what is classified, the others the examples with `labels` (each of
        0 … n - 1 at least once). Raises DeadlineExceeded from `seconds_left`.
        """
        vectors, truth = pooled(windows).astype(np.float64), np.array(labels)
        unknown, known = vectors[:texts], vectors[texts:]
        seconds_left()
        found = _predict(method, known, truth, unknown)
        return found, _validate(method, known, truth, seconds_left)


def _predict(method: str, known: np.ndarray, truth: np.ndarray, unknown: np.ndarray) -> Scores:
    if method == "logistic_regression":
        model = LogisticRegression(
            C=INVERSE_REGULARISATION, max_iter=MAX_ITERATIONS, tol=TOLERANCE, class_weight="balanced"
        )
        return Scores(np.asarray(model.fit(known, truth).predict_proba(unknown)), None)
    centroids = np.stack([known[truth == label].mean(axis=0) for label in np.unique(truth)])
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    cosines = np.clip(unknown @ centroids.T, -1.0, 1.0)
    return Scores(softmax(SCALE * cosines), cosines)


def _validate(
    method: str, known: np.ndarray, truth: np.ndarray, seconds_left: Callable[[], float]
) -> Validation | None:
    smallest, most = int(np.bincount(truth).min()), int(np.bincount(truth).max())
    if len(truth) < MIN_EXAMPLES_VALIDATION or smallest < 2:
        return None
    folds, right = min(MAX_FOLDS, smallest), 0
    for learnt, held_out in StratifiedKFold(folds, shuffle=True, random_state=0).split(known, truth):
        seconds_left()
        scores = _predict(method, known[learnt], truth[learnt], known[held_out]).scores
        right += int((scores.argmax(axis=1) == truth[held_out]).sum())
    return Validation(folds, right / len(truth), most / len(truth))
