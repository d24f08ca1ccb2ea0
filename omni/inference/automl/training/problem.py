"""What is to be learnt: rows as matrices, the target as numbers, the folds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

from omni.inference.automl.serving.design import Columns, Design, FeatureKind, learn

Task = Literal["classification", "regression"]
Fold = tuple[np.ndarray, np.ndarray]
"""Rows to fit on, rows to predict."""
FOLDS = 5
FEW_ROWS, SOME_ROWS, MANY_ROWS = 400, 1_500, 10_000


@dataclass(frozen=True)
class Problem:
    """Rows of a table with their target: class numbers 0 … or values."""

    task: Task
    kinds: tuple[tuple[str, FeatureKind], ...]
    columns: Columns
    target: np.ndarray
    """int64 or float64 [rows]."""
    classes: tuple[str, ...]
    """Empty for a regression."""
    metric: str
    seed: int

    @property
    def outputs(self) -> int:
        return len(self.classes) or 1

    @cached_property
    def design(self) -> Design:
        """Learnt from all rows; it knows nothing of the target."""
        return learn(self.kinds, self.columns)

    @cached_property
    def coded(self) -> np.ndarray:
        return self.design.coded(self.columns)

    @cached_property
    def dense(self) -> np.ndarray:
        return self.design.dense(self.coded)

    @cached_property
    def folds(self) -> list[Fold]:
        """The same for all trials; with few rows several divisions, so that chance decides less."""
        rows = len(self.target)
        repeats = 3 if rows <= FEW_ROWS else 2 if rows <= SOME_ROWS else 1
        folds = 3 if rows > MANY_ROWS else FOLDS
        maker = RepeatedStratifiedKFold if self.task == "classification" else RepeatedKFold
        divider = maker(n_splits=folds, n_repeats=repeats, random_state=self.seed)
        return list(divider.split(np.zeros(rows), self.target))

    @property
    def repeats(self) -> int:
        rows = len(self.target)
        return sum(len(test) for _, test in self.folds) // rows

    def take(self, rows: np.ndarray) -> Problem:
        """Some of the rows."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Problem(self.task, self.kinds, columns, self.target[rows], self.classes, self.metric, self.seed)
