"""What each feature contributed to a score, by a method for each kind of member; they add up to score − base.

LightGBM: TreeSHAP (Lundberg et al. 2020). Linear: weight × (x − mean), exact. Forests: Shapley values by sampling
permutations (Štrumbelj and Kononenko 2014), each with its reverse, measured from rows of the training data; these add
up exactly, too, for each permutation goes from a row of the background to the row that is explained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from omni.inference.automl.serving.members import BoosterMember, LinearMember, Member
from omni.inference.automl.serving.model import Model

METHODS = {"lightgbm": "tree_shap", "linear": "exact", "forest": "sampled_shapley"}
SEED = 20_140_801
MOST_EVALUATIONS = 40_000
LEAST_BACKGROUND = 2


@dataclass(frozen=True, slots=True)
class Contributions:
    """`base` [rows, outputs] + `by_feature` [rows, features, outputs] summed over features = scores, after the linear
    part of the calibration; of classes, scores are measured from their mean."""

    base: np.ndarray
    by_feature: np.ndarray
    methods: list[str]
    permutations: int
    """Of each row, where a member is sampled; else 0."""


def explain(model: Model, coded: np.ndarray, check_time: Callable[[], object]) -> Contributions:
    """The contributions to the scores of some rows. `check_time` stops the work by raising."""
    dense = model.design.dense(coded)
    features, outputs = len(model.design.features), len(model.classes) or 1
    base, total, permutations = np.zeros((len(coded), outputs)), np.zeros((len(coded), features, outputs)), 0
    for member, weight in zip(model.members, model.weights, strict=True):
        check_time()
        if isinstance(member, BoosterMember):
            parts, own_base = member.contributions(coded)
            found = _grouped(parts, model.design.coded_features, features)
        elif isinstance(member, LinearMember):
            parts, own_base = member.contributions(dense)
            found = _grouped(parts, model.design.coded_features[model.design.dense_columns], features)
        else:
            found, own_base, permutations = _sampled(model, member, coded, check_time)
        base += weight * own_base
        total += weight * found
    if model.classes:
        base, total = (each - each.mean(axis=-1, keepdims=True) for each in (base, total))
        slope, shifts = model.calibration.slope, np.array(model.calibration.shifts or [0.0] * outputs)
        if model.calibration.method == "platt":
            base, total = base * slope + shifts - shifts.mean(), total * slope
    methods = list(dict.fromkeys(METHODS[member.kind] for member in model.members))
    return Contributions(base, total, methods, permutations)


def _grouped(parts: np.ndarray, feature_of: np.ndarray, features: int) -> np.ndarray:
    """Columns [rows, columns, outputs] added up by feature."""
    found = np.zeros((parts.shape[0], features, parts.shape[2]))
    for column, feature in enumerate(feature_of):
        found[:, feature] += parts[:, column]
    return found


def _sampled(
    model: Model, member: Member, coded: np.ndarray, check_time: Callable[[], object]
) -> tuple[np.ndarray, np.ndarray, int]:
    features, feature_of = len(model.design.features), model.design.coded_features
    fitting = MOST_EVALUATIONS // max(1, len(coded) * 2 * (features + 1))
    background = model.background[: max(LEAST_BACKGROUND, min(len(model.background), fitting))]
    random = np.random.default_rng(SEED)
    outputs = len(model.classes) or 1
    found = np.zeros((len(coded), features, outputs))
    orders = [random.permutation(features) for _ in background]
    for place, row in enumerate(coded):
        check_time()
        paths = []
        for start, order in zip(background, orders, strict=True):
            for each in (order, order[::-1]):
                rank = np.empty(features, int)
                rank[each] = np.arange(features)
                taken = rank[feature_of][None, :] < np.arange(features + 1)[:, None]
                paths.append(np.where(taken, row, start))
        steps = np.concatenate(paths)
        scores = member.scores(steps, model.design.dense(steps)).reshape(len(background), 2, features + 1, outputs)
        for changes, order in zip(np.diff(scores, axis=2), orders, strict=True):
            found[place, order] += changes[0]
            found[place, order[::-1]] += changes[1]
    found /= 2 * len(background)
    base = member.scores(background, model.design.dense(background)).mean(axis=0)
    return found, base, 2 * len(background)
