"""Metrics. `loss` is what the search makes small; `shown` is the metric as people know it."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.metrics import roc_auc_score

HIGHER_IS_BETTER = frozenset(("roc_auc", "accuracy", "r2"))


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax over classes."""
    return np.asarray(softmax(scores, axis=1))


def loss(metric: str, target: np.ndarray, scores: np.ndarray) -> float:
    """Of scores [rows, outputs]; smaller is better."""
    found = shown(metric, target, scores)
    return 1 - found if metric in HIGHER_IS_BETTER else found


def shown(metric: str, target: np.ndarray, scores: np.ndarray) -> float:
    """`log_loss` in nats, `roc_auc` (two classes), `accuracy`; `rmse`, `mae`, `r2`."""
    if metric == "log_loss":
        return float(-np.mean(log_softmax(scores, axis=1)[np.arange(len(target)), target]))
    if metric == "accuracy":
        return float(np.mean(scores.argmax(axis=1) == target))
    if metric == "roc_auc":
        return float(roc_auc_score(target, scores[:, 1] - scores[:, 0]))
    misses = scores[:, 0] - target
    if metric == "mae":
        return float(np.mean(np.abs(misses)))
    if metric == "r2":
        around = float(np.sum(np.square(target - target.mean())))
        return 1 - float(np.sum(np.square(misses))) / around if around > 0 else 0.0
    return float(np.sqrt(np.mean(np.square(misses))))


def interval(metric: str, target: np.ndarray, scores: np.ndarray, seed: int) -> tuple[float, float] | None:
    """95 percent, from the quantiles of 1,000 bootstrap samples of the rows; None where most samples have no metric."""
    random, found = np.random.default_rng(seed), []
    for _ in range(1_000):
        rows = random.integers(0, len(target), len(target))
        if metric == "roc_auc" and len(np.unique(target[rows])) < 2:
            continue
        found.append(shown(metric, target[rows], scores[rows]))
    if len(found) < 500:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
