"""From scores to probabilities: as they are, by Platt's scaling, or by isotonic regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Method = Literal["none", "platt", "isotonic"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """`platt`: softmax(slope · scores + shifts), for two classes Platt's (1999) sigmoid. `isotonic`: each class's
    probability through its curve, then divided by their sum (Zadrozny and Elkan 2002)."""

    method: Method = "none"
    slope: float = 1.0
    shifts: list[float] = field(default_factory=list)
    """One a class."""
    curves: list[tuple[list[float], list[float]]] = field(default_factory=list)
    """One a class: probabilities before, in rising order, and after."""

    def scores(self, scores: np.ndarray) -> np.ndarray:
        """What is linear of it: scores [rows, classes] before the softmax."""
        return scores * self.slope + np.array(self.shifts) if self.method == "platt" else scores

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """[rows, classes], each row adding up to 1."""
        shifted = self.scores(scores)
        powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        before = powers / powers.sum(axis=1, keepdims=True)
        if self.method != "isotonic":
            return np.asarray(before)
        after = np.stack(
            [np.interp(column, *curve) for column, curve in zip(before.T, self.curves, strict=True)], axis=1
        )
        return np.asarray(after / after.sum(axis=1, keepdims=True))

    def to_json(self) -> dict[str, Any]:
        return {"method": self.method, "slope": self.slope, "shifts": self.shifts, "curves": self.curves}

    @classmethod
    def from_json(cls, found: Mapping[str, Any], classes: int) -> Calibration:
        """Raises KeyError, TypeError or ValueError for what is none."""
        curves = [([float(x) for x in before], [float(y) for y in after]) for before, after in found["curves"]]
        made = cls(found["method"], float(found["slope"]), [float(each) for each in found["shifts"]], curves)
        if made.method not in ("none", "platt", "isotonic"):
            raise ValueError("unknown calibration")
        if (made.method == "platt" and len(made.shifts) != classes) or (
            made.method == "isotonic" and (len(curves) != classes or any(len(x) != len(y) or not x for x, y in curves))
        ):
            raise ValueError("calibration of other classes")
        return made
