"""A trained model: its design, members, weights and calibration. What an artifact is read into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omni.inference.automl.serving.calibration import Calibration
from omni.inference.automl.serving.design import Columns, Design
from omni.inference.automl.serving.members import Member


@dataclass(frozen=True, slots=True)
class Predicted:
    """`scores` [rows, outputs]; `probabilities` [rows, classes] of a classification."""

    scores: np.ndarray
    probabilities: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Model:
    """Members' scores are added by weight, then calibrated."""

    task: str
    classes: Sequence[str]
    design: Design
    members: Sequence[Member]
    weights: np.ndarray
    calibration: Calibration
    background: np.ndarray
    """Coded rows of the training data, what sampled contributions are measured from."""
    manifest: Mapping[str, Any]

    def predict(self, columns: Columns) -> Predicted:
        """Of columns that the design names."""
        return self.predict_coded(self.design.coded(columns))

    def predict_coded(self, coded: np.ndarray) -> Predicted:
        scores = self.scores(coded)
        return Predicted(scores, self.calibration.probabilities(scores) if self.classes else None)

    def scores(self, coded: np.ndarray) -> np.ndarray:
        """Before calibration."""
        dense = self.design.dense(coded)
        parts = [
            weight * member.scores(coded, dense) for weight, member in zip(self.weights, self.members, strict=True)
        ]
        return np.asarray(sum(parts))
