"""The members of an artifact: each turns rows into scores. No code comes out of a file, only numbers and trees.

Scores are float64 [rows, outputs]: the value of a regression, or one number a class whose softmax are probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from lightgbm import Booster

_CELLS = 2_000_000
"""Places in trees that are followed at once."""
MOST_NODES = 20_000_000
Parts = dict[str, bytes | np.ndarray]
"""What a member is stored as: file name → bytes or an array."""


class BadArtifact(Exception):
    """The file is no artifact of ours; the argument says why, for the log."""


class Member(Protocol):
    """One trained model."""

    @property
    def kind(self) -> str: ...

    def scores(self, coded: np.ndarray, dense: np.ndarray) -> np.ndarray: ...

    def parts(self) -> Parts: ...


@dataclass(frozen=True, slots=True)
class LinearMember:
    """`dense · weights + intercept`."""

    weights: np.ndarray
    """[dense width, outputs]."""
    intercept: np.ndarray
    """[outputs]."""
    means: np.ndarray
    """[dense width]: of the training rows, what contributions are measured from."""
    kind: str = "linear"

    def scores(self, coded: np.ndarray, dense: np.ndarray) -> np.ndarray:  # noqa: ARG002 one signature for all members
        return np.asarray(dense @ self.weights + self.intercept)

    def contributions(self, dense: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By column [rows, dense width, outputs], weight × (x − mean), and the base [outputs]. They add up exactly."""
        return (dense - self.means)[:, :, None] * self.weights[None], self.means @ self.weights + self.intercept

    def parts(self) -> Parts:
        return {"weights.npy": self.weights, "intercept.npy": self.intercept, "means.npy": self.means}


@dataclass(frozen=True, slots=True)
class ForestMember:
    """The mean of trees. `x ≤ threshold` goes left, in float32 as scikit-learn compares. Of a classification the mean
    shares p become log((p·trees + ½) / (trees + ½·classes)): what no tree has seen is rare, not impossible."""

    roots: np.ndarray
    """int32 [trees]."""
    feature: np.ndarray
    """int32 [nodes]; negative for leaves."""
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    """float64 [nodes, outputs]."""
    classifies: bool
    kind: str = "forest"

    def scores(self, coded: np.ndarray, dense: np.ndarray) -> np.ndarray:  # noqa: ARG002 one signature for all members
        rows = max(1, _CELLS // len(self.roots))
        pieces = [self._mean(dense[start : start + rows]) for start in range(0, len(dense), rows)]
        mean = np.concatenate(pieces) if pieces else np.empty((0, self.values.shape[1]))
        return log_shares(mean, len(self.roots)) if self.classifies else mean

    def _mean(self, dense: np.ndarray) -> np.ndarray:
        rows = dense.astype(np.float32)
        total = np.zeros((len(rows), self.values.shape[1]))
        every = np.arange(len(rows))
        for root in self.roots:
            at = np.full(len(rows), root, np.int32)
            moving = every[self.feature[at] >= 0]
            while len(moving):
                node = at[moving]
                goes_left = rows[moving, self.feature[node]] <= self.threshold[node]
                at[moving] = np.where(goes_left, self.left[node], self.right[node])
                moving = moving[self.feature[at[moving]] >= 0]
            total += self.values[at]
        return total / len(self.roots)

    def parts(self) -> Parts:
        names = ("roots", "feature", "threshold", "left", "right", "values")
        return {f"{name}.npy": getattr(self, name) for name in names} | {
            "forest.json": json.dumps({"classifies": self.classifies}).encode()
        }


class BoosterMember:
    """A model of LightGBM, in its text format."""

    kind = "lightgbm"

    def __init__(self, booster: Booster, outputs: int) -> None:
        """`outputs` is the number of classes, 1 for a regression. LightGBM has one score for two classes."""
        self._booster = booster
        self._outputs = outputs

    def scores(self, coded: np.ndarray, dense: np.ndarray) -> np.ndarray:  # noqa: ARG002 one signature for all members
        raw = np.asarray(self._booster.predict(coded, raw_score=True, num_threads=1))
        return spread(raw.reshape(len(coded), -1), self._outputs)

    def contributions(self, coded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By column [rows, coded width, outputs], and the base [rows, outputs]: TreeSHAP (Lundberg et al. 2020)."""
        raw = np.asarray(self._booster.predict(coded, pred_contrib=True, num_threads=1))
        raw = raw.reshape(len(coded), -1, coded.shape[1] + 1).transpose(0, 2, 1)
        if self._outputs == 2:
            raw = np.concatenate([-raw / 2, raw / 2], axis=2)
        return raw[:, :-1], raw[:, -1]

    def parts(self) -> Parts:
        return {"model.txt": self._booster.model_to_string(num_iteration=-1).encode()}


def spread(raw: np.ndarray, outputs: int) -> np.ndarray:
    """One score of two classes, the log-odds of the second, as one for each."""
    return np.concatenate([-raw / 2, raw / 2], axis=1) if outputs == 2 and raw.shape[1] == 1 else raw


def log_shares(shares: np.ndarray, trees: int) -> np.ndarray:
    """Of the classes' shares among the leaves of a forest."""
    return np.asarray(np.log((shares * trees + 0.5) / (trees + 0.5 * shares.shape[1])))


def load_member(kind: str, parts: Mapping[str, Any], outputs: int, widths: tuple[int, int]) -> Member:
    """The member of these parts, checked so that nothing outside its arrays is ever read.

    `widths` are those of coded and dense rows. Raises BadArtifact and KeyError.
    """
    if kind == "lightgbm":
        from lightgbm import Booster  # noqa: PLC0415 heavy: only for artifacts that hold one

        booster = Booster(model_str=parts["model.txt"].decode())
        if booster.num_feature() != widths[0] or booster.num_model_per_iteration() != (1 if outputs == 2 else outputs):
            raise BadArtifact("the booster has other columns or classes")
        return BoosterMember(booster, outputs)
    if kind == "linear":
        weights, intercept, means = parts["weights.npy"], parts["intercept.npy"], parts["means.npy"]
        if weights.shape != (widths[1], outputs) or intercept.shape != (outputs,) or means.shape != (widths[1],):
            raise BadArtifact("the weights have another shape")
        return LinearMember(weights, intercept, means)
    if kind == "forest":
        classifies = bool(json.loads(parts["forest.json"])["classifies"])
        names = ("roots", "feature", "threshold", "left", "right", "values")
        return _checked(
            ForestMember(**{name: parts[f"{name}.npy"] for name in names}, classifies=classifies), outputs, widths[1]
        )
    raise BadArtifact(f"unknown kind {kind!r}")


def _checked(forest: ForestMember, outputs: int, width: int) -> ForestMember:
    nodes = len(forest.feature)
    inner = forest.feature >= 0
    same = all(len(each) == nodes for each in (forest.threshold, forest.left, forest.right, forest.values))
    if not same or not 0 < nodes <= MOST_NODES or forest.values.shape != (nodes, outputs):
        raise BadArtifact("the trees' arrays differ in length")
    places = np.arange(nodes)[inner]
    for children in (forest.left[inner], forest.right[inner]):
        if np.any(children <= places) or np.any(children >= nodes):
            raise BadArtifact("a child is before its node")
    if np.any(forest.feature >= width) or np.any(forest.roots < 0) or np.any(forest.roots >= nodes):
        raise BadArtifact("a node names a column or tree that is not there")
    return forest
