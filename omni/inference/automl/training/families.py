"""The families of models that are tried: their search spaces, where the search begins, and how they are fitted.

Spaces are those of FLAML (Wang et al. 2021, https://arxiv.org/abs/1911.04706) for LightGBM and forests, with bounds
that keep artifacts small. All fits have the problem's seed and give the same model each time.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import lightgbm
import numpy as np
from lightgbm import Booster
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from omni.inference.automl.serving.members import BoosterMember, ForestMember, LinearMember, Member, log_shares
from omni.inference.automl.training.problem import Problem

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns that its own AutoML class lacks xgboost; only its searcher is used
    from flaml.tune.sample import lograndint, loguniform, uniform

Config = dict[str, Any]
Matrices = tuple[np.ndarray, np.ndarray]
"""Coded and dense rows."""
ORDER = ("linear", "lightgbm", "extra_trees", "random_forest")
"""Cheapest first."""
MOST_TREES, MOST_LEAVES = 500, 4_096
SMALL_CELLS = 1_000_000
"""Below so many cells a second thread costs more than it gives."""


class TooSlow(Exception):
    """The fit would not end in time."""


class Trained(Protocol):
    """A fitted model, as its library predicts."""

    def scores(self, matrices: Matrices) -> np.ndarray: ...

    def member(self) -> Member: ...


def space(family: str, problem: Problem) -> tuple[Config, list[Config]]:
    """The search space in FLAML's domains, and the points at which the search begins, the most usual first."""
    rows = len(problem.target)
    leaves = max(5, min(MOST_LEAVES, rows))
    if family == "linear":
        ratio = {} if problem.task == "classification" else {"l1_ratio": 0.0}
        domain: Config = {"penalty": loguniform(1e-4, 1e5)}
        if ratio:
            domain["l1_ratio"] = uniform(0, 1)
        return domain, [{"penalty": penalty, **ratio} for penalty in (1.0, 10.0, 100.0, 0.1)]
    if family == "lightgbm":
        domain = {
            "n_estimators": lograndint(4, max(5, min(2_000, rows))),
            "num_leaves": lograndint(4, max(5, min(1_024, rows))),
            "min_child_samples": lograndint(2, 129),
            "learning_rate": loguniform(1 / 1024, 1.0),
            "log_max_bin": lograndint(3, 11),
            "colsample_bytree": uniform(0.01, 1.0),
            "reg_alpha": loguniform(1 / 1024, 1024),
            "reg_lambda": loguniform(1 / 1024, 1024),
        }
        low = {
            "n_estimators": 4, "num_leaves": 4, "min_child_samples": 20, "learning_rate": 0.1, "log_max_bin": 8,
            "colsample_bytree": 1.0, "reg_alpha": 1 / 1024, "reg_lambda": 1.0,
        }  # fmt: skip
        trees = max(20, 300 // max(3, problem.outputs))
        usual = {**low, "n_estimators": min(trees, rows - 1), "num_leaves": min(31, rows - 1)}
        slow = {
            **low, "n_estimators": min(2 * trees, rows - 1), "num_leaves": min(8, rows - 1), "learning_rate": 0.04,
            "colsample_bytree": 0.5, "min_child_samples": 10,
        }  # fmt: skip
        return domain, [usual, slow, low]
    domain = {
        "n_estimators": lograndint(8, MOST_TREES + 1),
        "max_features": loguniform(min(0.05, 1 / problem.dense.shape[1] + 1e-6), 1.0),
        "max_leaves": lograndint(4, leaves),
        "min_samples_leaf": lograndint(1, 33),
    }
    low = {"n_estimators": 8, "max_features": 0.5, "max_leaves": 4, "min_samples_leaf": 1}
    share = problem.dense.shape[1] ** -0.5 if problem.task == "classification" else 0.4
    usual = {"n_estimators": 100, "max_features": max(share, 0.06), "max_leaves": min(leaves - 1, 512),
             "min_samples_leaf": 2}  # fmt: skip
    return domain, [usual, {**usual, "max_features": min(1.0, 2 * share), "min_samples_leaf": 5}, low]


def cost(family: str, config: Config, outputs: int) -> float:
    """What a fit costs, roughly, in trees of LightGBM: the same on every machine."""
    if family == "linear":
        return 30.0
    trees = float(config["n_estimators"])
    return 10 + trees * (outputs if outputs > 2 else 1) if family == "lightgbm" else 6 * trees


def fit(family: str, config: Config, problem: Problem, rows: np.ndarray, until: float) -> Trained:
    """Fits on some rows. Raises TooSlow when the monotonic clock passes `until`."""
    if family == "lightgbm":
        return _boost(config, problem, rows, until)
    return _fit_linear(config, problem, rows) if family == "linear" else _grow(family, config, problem, rows, until)


@dataclass(frozen=True, slots=True)
class _Boosted:
    booster: Booster
    outputs: int

    def scores(self, matrices: Matrices) -> np.ndarray:
        return self.member().scores(*matrices)

    def member(self) -> BoosterMember:
        return BoosterMember(self.booster, self.outputs)


def _boost(config: Config, problem: Problem, rows: np.ndarray, until: float) -> _Boosted:
    outputs, counted = problem.outputs, problem.coded.size
    objective = "binary" if outputs == 2 else "multiclass"
    if problem.task == "regression":
        objective = "l1" if problem.metric == "mae" else "l2"
    params = {
        "objective": objective, "verbosity": -1, "deterministic": True, "force_row_wise": True, "seed": problem.seed,
        "num_threads": threads(counted), "num_leaves": int(config["num_leaves"]),
        "min_child_samples": int(config["min_child_samples"]), "learning_rate": float(config["learning_rate"]),
        "max_bin": (1 << int(config["log_max_bin"])) - 1, "feature_fraction": float(config["colsample_bytree"]),
        "lambda_l1": float(config["reg_alpha"]), "lambda_l2": float(config["reg_lambda"]), "min_data_per_group": 10,
        **({"num_class": outputs} if objective == "multiclass" else {}),
    }  # fmt: skip
    data = lightgbm.Dataset(
        problem.coded[rows], problem.target[rows], categorical_feature=problem.design.categorical,
        params={"verbosity": -1}, free_raw_data=True,
    )  # fmt: skip

    def watch(_environment: Any) -> None:
        if time.monotonic() > until:
            raise TooSlow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        booster = lightgbm.train(params, data, int(config["n_estimators"]), callbacks=[watch])
    return _Boosted(booster, outputs)


@dataclass(frozen=True, slots=True)
class _Linear:
    model: Any
    outputs: int
    means: np.ndarray

    def scores(self, matrices: Matrices) -> np.ndarray:
        if self.outputs == 1:
            return np.asarray(self.model.predict(matrices[1])).reshape(-1, 1)
        raw = np.asarray(self.model.decision_function(matrices[1])).reshape(len(matrices[1]), -1)
        return np.concatenate([-raw / 2, raw / 2], axis=1) if self.outputs == 2 else raw

    def member(self) -> LinearMember:
        weights = np.atleast_2d(self.model.coef_).T
        intercept = np.atleast_1d(np.asarray(self.model.intercept_, np.float64))
        if self.outputs == 2:
            weights = np.concatenate([-weights / 2, weights / 2], axis=1)
            intercept = np.concatenate([-intercept / 2, intercept / 2])
        return LinearMember(np.ascontiguousarray(weights, np.float64), intercept, self.means)


def _fit_linear(config: Config, problem: Problem, rows: np.ndarray) -> _Linear:
    dense, target, penalty = problem.dense[rows], problem.target[rows], float(config["penalty"])
    if problem.task == "classification":
        model: Any = LogisticRegression(C=1 / penalty, max_iter=300, tol=1e-5)
    elif config.get("l1_ratio", 0.0) < 0.05:
        model = Ridge(alpha=penalty)
    else:
        size = float(penalty / len(rows))
        model = ElasticNet(alpha=size * float(target.std() or 1), l1_ratio=float(config["l1_ratio"]), max_iter=2_000)
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the score says how good it is all the same
        model.fit(dense, target)
    return _Linear(model, problem.outputs, dense.mean(axis=0))


@dataclass(frozen=True, slots=True)
class _Forest:
    model: Any
    outputs: int

    def scores(self, matrices: Matrices) -> np.ndarray:
        if self.outputs == 1:
            return np.asarray(self.model.predict(matrices[1])).reshape(-1, 1)
        return log_shares(np.asarray(self.model.predict_proba(matrices[1])), len(self.model.estimators_))

    def member(self) -> ForestMember:
        trees = [each.tree_ for each in self.model.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees)])
        inner = [tree.children_left >= 0 for tree in trees]

        def children(name: str) -> np.ndarray:
            found = [
                np.where(own, getattr(tree, name) + start, -1)
                for tree, own, start in zip(trees, inner, starts, strict=False)
            ]
            return np.concatenate(found).astype(np.int32)

        values = np.concatenate([tree.value[:, 0, :] for tree in trees])
        if self.outputs > 1:
            values = values / values.sum(axis=1, keepdims=True)
        features = np.concatenate([np.where(own, tree.feature, -1) for tree, own in zip(trees, inner, strict=True)])
        thresholds = np.concatenate([tree.threshold for tree in trees]).astype(np.float64)
        return ForestMember(
            starts[:-1].astype(np.int32), features.astype(np.int32), thresholds, children("children_left"),
            children("children_right"), np.ascontiguousarray(values, np.float64), self.outputs > 1,
        )  # fmt: skip


_FORESTS: Mapping[tuple[str, str], type] = {
    ("random_forest", "classification"): RandomForestClassifier,
    ("random_forest", "regression"): RandomForestRegressor,
    ("extra_trees", "classification"): ExtraTreesClassifier,
    ("extra_trees", "regression"): ExtraTreesRegressor,
}
_GROWN_AT_ONCE = 10


def _grow(family: str, config: Config, problem: Problem, rows: np.ndarray, until: float) -> _Forest:
    wanted = int(config["n_estimators"])
    model = _FORESTS[family, problem.task](
        n_estimators=min(wanted, _GROWN_AT_ONCE), max_features=float(config["max_features"]), warm_start=True,
        max_leaf_nodes=int(config["max_leaves"]), min_samples_leaf=int(config["min_samples_leaf"]),
        random_state=problem.seed, n_jobs=threads(problem.dense.size),
    )  # fmt: skip
    dense, target = problem.dense[rows].astype(np.float32), problem.target[rows]
    while True:
        model.fit(dense, target)
        grown = len(model.estimators_)
        if grown >= wanted:
            return _Forest(model, problem.outputs)
        if time.monotonic() > until:
            raise TooSlow
        model.set_params(n_estimators=min(wanted, grown + _GROWN_AT_ONCE))


def threads(cells: int) -> int:
    """How many threads are worth it; the models are the same with any number."""
    return 1 if cells < SMALL_CELLS else min(4, os.cpu_count() or 1)
