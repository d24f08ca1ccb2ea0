"""Anomalies among rows with PyOD. Heavy: loaded at first use."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest

SEED = 0


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

    def score(self, rows: list[list[float]], method: str, contamination: float) -> RowScores:
        """Scores of at least 8 rows by `ecod` (Li et al. 2022) or `iforest` (Liu et al. 2008), higher = stranger.

        The threshold is the score that a share of `contamination` of the rows lies above.
        """
        matrix = np.asarray(rows, np.float64)
        if method == "iforest":
            forest = IForest(contamination=contamination, random_state=SEED, n_jobs=1).fit(matrix)
            return RowScores(float(forest.threshold_), np.asarray(forest.decision_scores_), None)
        with np.errstate(all="ignore"):
            ecod = ECOD(contamination=contamination, n_jobs=1).fit(matrix)
        return RowScores(float(ecod.threshold_), np.asarray(ecod.decision_scores_), np.asarray(ecod.O))
