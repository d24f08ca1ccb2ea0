"""Anomalies among rows with PyOD. Heavy: loaded at first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF

from omni.inference.tabular.schemas import ENSEMBLE, RowMethod

SEED = 0
NEIGHBOURS = 10  # of knn: the mean distance to them
LOCAL_NEIGHBOURS = 20  # of lof
BINS = 10
LEAST_DENSITY = 0.1  # so that an empty bin is no infinity


@dataclass(frozen=True, slots=True)
class RowScores:
    """`scores`: float64 [rows]; `contributions`: float64 [rows, features] whose rows sum to the scores, or None."""

    threshold: float
    scores: np.ndarray
    contributions: np.ndarray | None


class RowDetector:
    """Scores every row against all others. Keeps nothing between calls."""

    def __init__(self) -> None:
        self.name = f"pyod-{version('pyod')}"

    def score(
        self, rows: list[list[float]], method: RowMethod, contamination: float, check_time: Callable[[], object]
    ) -> RowScores:
        """Scores of at least 8 rows, higher = stranger: `ecod` (Li et al. 2022), `copod` (Li et al. 2020), `iforest`
        (Liu et al. 2008), `hbos` (Goldstein, Dengel 2012), `knn` (Angiulli, Pizzuti 2002), `lof` (Breunig et al. 2000),
        or `auto`: the mean of the ranks that ENSEMBLE give, as shares of the rows (Aggarwal, Sathe 2017).

        The threshold is the score that a share of `contamination` of the rows lies above. `check_time` is called
        between methods and stops the work by raising.
        """
        matrix = np.asarray(rows, np.float64)
        if method == "auto":
            return _ensemble(matrix, contamination, check_time)
        scores, contributions = _scored(matrix, method, contamination)
        return RowScores(float(np.quantile(scores, 1 - contamination)), scores, contributions)


def _ensemble(matrix: np.ndarray, contamination: float, check_time: Callable[[], object]) -> RowScores:
    ranks = []
    for method in ENSEMBLE:
        check_time()
        ranks.append(_shares_below(_scored(matrix, method, contamination)[0]))
    scores = np.mean(ranks, axis=0).round(12)
    return RowScores(float(np.quantile(scores, 1 - contamination)), scores, None)


def _shares_below(scores: np.ndarray) -> np.ndarray:
    """For each score the share of all that are smaller, those that are equal counted half."""
    ordered = np.sort(scores)
    low, high = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    return np.asarray((low + high) / (2 * len(scores)))


def _scored(matrix: np.ndarray, method: RowMethod, contamination: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores, and what each column adds to them where the method says so."""
    if method == "hbos":
        return _histogram_scores(_standardised(matrix)), None
    engine = _fitted(matrix, method, contamination)
    return _finite(np.asarray(engine.decision_scores_, np.float64)), np.asarray(engine.O) if method == "ecod" else None


def _histogram_scores(matrix: np.ndarray) -> np.ndarray:
    """HBOS with 10 bins of equal width: minus the logarithm of the density, summed over the columns. PyOD's compiles
    itself for seconds at first use.
    """
    scores = np.zeros(len(matrix))
    for column in matrix.T:
        density, edges = np.histogram(column, BINS, density=True)
        scores -= np.log2(density[np.clip(np.searchsorted(edges, column, "right") - 1, 0, BINS - 1)] + LEAST_DENSITY)
    return scores


def _fitted(matrix: np.ndarray, method: RowMethod, contamination: float) -> Any:
    rows = len(matrix)
    engines: dict[str, Callable[[], Any]] = {
        "iforest": lambda: IForest(contamination=contamination, random_state=SEED, n_jobs=1),
        "ecod": lambda: ECOD(contamination=contamination, n_jobs=1),
        "copod": lambda: COPOD(contamination=contamination, n_jobs=1),
        "knn": lambda: KNN(n_neighbors=min(NEIGHBOURS, rows - 1), method="mean", contamination=contamination),
        "lof": lambda: LOF(n_neighbors=min(LOCAL_NEIGHBOURS, rows - 1), contamination=contamination),
    }
    if method in ("knn", "lof"):
        matrix = _standardised(matrix)
    with np.errstate(all="ignore"):
        engine = engines[method]()
        engine.fit(matrix)
        return engine


def _standardised(matrix: np.ndarray) -> np.ndarray:
    """Distances add up columns of any unit only at one scale; columns of one value add nothing."""
    spread = np.std(matrix, axis=0)
    return np.asarray((matrix - np.mean(matrix, axis=0)) / np.where(spread > 0, spread, 1.0))


def _finite(scores: np.ndarray) -> np.ndarray:
    """Equal rows have no density: what is not a number is no stranger than the others, infinity as strange as any."""
    if np.isfinite(scores).all():
        return scores
    finite = scores[np.isfinite(scores)]
    most, least = (float(finite.max()), float(finite.min())) if len(finite) else (0.0, 0.0)
    return np.asarray(np.nan_to_num(scores, nan=least, posinf=most, neginf=least))
