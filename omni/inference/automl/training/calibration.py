"""Which calibration makes the log loss of rows that were not fitted on smallest."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.isotonic import IsotonicRegression

from omni.inference.automl.serving.calibration import Calibration, Method
from omni.inference.automl.training.scoring import probabilities

PARTS = 5
PRIOR_ROWS = 5
"""How many rows the wish to change nothing counts as: perfectly separated classes have a finite slope."""
CURVE_POINTS = 200
METHODS: tuple[Method, ...] = ("none", "platt", "isotonic")
ISOTONIC_ROWS = 1_000
"""From here on isotonic curves are tried: on fewer rows they follow chance, and cross-validation may not tell."""


def choose(target: np.ndarray, scores: np.ndarray, seed: int) -> tuple[Calibration, dict[Method, float]]:
    """The calibration of scores [repeats, rows, classes], and the cross-validated log loss of each method.

    Rows on which a calibration is fitted are not those it is judged by.
    """
    parts = np.random.default_rng(seed).permutation(len(target)) % PARTS
    losses: dict[Method, float] = {}
    methods = METHODS if len(target) >= ISOTONIC_ROWS else METHODS[:-1]
    for method in methods:
        found = []
        for part in range(PARTS):
            fitted = _fit(method, target, scores, parts != part)
            judged, judged_scores = _stacked(target, scores, parts == part)
            found.append(log_loss(judged, fitted.probabilities(judged_scores)))
        losses[method] = float(np.mean(found))
    best = min(methods, key=lambda method: losses[method])
    return _fit(best, target, scores, np.ones(len(target), bool)), losses


def log_loss(target: np.ndarray, shares: np.ndarray) -> float:
    """In nats."""
    return float(-np.mean(np.log(np.maximum(shares[np.arange(len(target)), target], 1e-15))))


def error(target: np.ndarray, shares: np.ndarray) -> float:
    """Expected calibration error over ten bins of the most likely class's probability (Guo et al. 2017)."""
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == target
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [
        np.count_nonzero(bins == each) * abs(float(right[bins == each].mean() - sure[bins == each].mean()))
        for each in np.unique(bins)
    ]
    return float(sum(gaps) / len(target))


def _stacked(target: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All repeats one below the other."""
    return np.tile(target[rows], len(scores)), scores[:, rows].reshape(-1, scores.shape[2])


def _fit(method: Method, target: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> Calibration:
    """On some rows of all repeats."""
    fitted, fitted_scores = _stacked(target, scores, rows)
    if method == "platt":
        return _platt(fitted, fitted_scores, int(rows.sum()))
    return _isotonic(fitted, fitted_scores) if method == "isotonic" else Calibration()


def _platt(target: np.ndarray, scores: np.ndarray, rows: int) -> Calibration:
    """By maximum likelihood, with a normal prior on the logarithm of the slope and on the shifts."""
    classes, prior = scores.shape[1], PRIOR_ROWS / rows
    hit = np.eye(classes)[target]

    def objective(given: np.ndarray) -> tuple[float, np.ndarray]:
        slope, shifts = np.exp(given[0]), given[1:]
        logs = log_softmax(scores * slope + shifts, axis=1)
        misses = (np.exp(logs) - hit) / len(target)
        loss = -float(np.sum(hit * logs)) / len(target) + prior * float(given @ given)
        steps = np.concatenate([[slope * np.sum(misses * scores)], misses.sum(axis=0)])
        return loss, steps + 2 * prior * given

    bounds = [(-3.0, 3.0), *[(-10.0, 10.0)] * classes]
    found = minimize(objective, np.zeros(1 + classes), jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration("platt", float(np.exp(found.x[0])), [float(each) for each in found.x[1:]])


def _isotonic(target: np.ndarray, scores: np.ndarray) -> Calibration:
    shares, curves = probabilities(scores), []
    rare = 1 / (len(target) + scores.shape[1])
    for each in range(scores.shape[1]):
        curve = IsotonicRegression(y_min=rare, y_max=1 - rare, out_of_bounds="clip")
        curve.fit(shares[:, each], (target == each).astype(np.float64))
        before, after = curve.X_thresholds_, curve.y_thresholds_
        if len(before) > CURVE_POINTS:
            kept = np.unique(np.linspace(0, len(before) - 1, CURVE_POINTS).astype(int))
            before, after = before[kept], after[kept]
        curves.append((before.tolist(), after.tolist()))
    return Calibration("isotonic", curves=curves)
