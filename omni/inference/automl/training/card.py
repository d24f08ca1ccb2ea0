"""The model card: on what the model was trained, how good it is and by what evidence, what to be careful with."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from omni.inference.automl.serving.model import Model
from omni.inference.automl.training import calibration
from omni.inference.automl.training.problem import Problem
from omni.inference.automl.training.scoring import interval, loss, shown
from omni.inference.automl.training.table import Prepared

FEW_ROWS, RARE_SHARE, MOSTLY_MISSING = 200, 0.1, 0.5
LEAK_ROWS, LEAK_SCORE, LEAK_SECONDS = 2_000, 0.99, 3.0
IMPORTANCE_ROWS, IMPORTANCE_SECONDS, SHUFFLES = 300, 6.0, 3


def target_facts(problem: Problem) -> dict[str, Any]:
    """How the target is distributed."""
    if problem.classes:
        counts = np.bincount(problem.target, minlength=len(problem.classes)).tolist()
        return {"classes": dict(zip(problem.classes, counts, strict=True))}
    low, middle, high = np.quantile(problem.target, [0, 0.5, 1]).tolist()
    return {
        "minimum": low, "median": middle, "maximum": high, "mean": float(problem.target.mean()),
        "standard_deviation": float(problem.target.std(ddof=1)),
    }  # fmt: skip


def measured(model: Model, problem: Problem) -> dict[str, Any]:
    """The model's figures on rows that it was not trained on, with intervals of 95 percent."""
    predicted = model.predict_coded(model.design.coded(problem.columns))
    shares = predicted.probabilities
    scores = predicted.scores if shares is None else np.log(np.maximum(shares, 1e-15))
    names = ["rmse", "mae", "r2"] if shares is None else ["log_loss", "accuracy"]
    if len(problem.classes) == 2:
        names.append("roc_auc")
    figures: dict[str, Any] = {}
    for name in names:
        if name == "roc_auc" and len(np.unique(problem.target)) < 2:
            continue
        bounds = interval(name, problem.target, scores, problem.seed)
        figures[name] = {"value": shown(name, problem.target, scores), "interval_95": bounds}
    found: dict[str, Any] = {"rows": len(problem.target), "metrics": figures}
    if shares is not None:
        found["calibration_error"] = calibration.error(problem.target, shares)
    return found


def importances(model: Model, problem: Problem, seed: int) -> tuple[dict[str, float], int]:
    """Feature → by how much the loss grows when its values are shuffled between rows (Breiman 2001), the mean of three
    times, largest first; and how many features there was no time for."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(problem.target))[:IMPORTANCE_ROWS]
    coded, target = model.design.coded(problem.take(rows).columns), problem.target[rows]
    until = time.monotonic() + IMPORTANCE_SECONDS
    before = loss(problem.metric, target, _final(model, coded))
    found: dict[str, float] = {}
    feature_of = model.design.coded_features
    for place, feature in enumerate(model.design.features):
        if time.monotonic() > until:
            break
        grown = []
        for _ in range(SHUFFLES):
            shuffled = coded.copy()
            columns = np.flatnonzero(feature_of == place)
            shuffled[:, columns] = coded[random.permutation(len(rows))][:, columns]
            grown.append(loss(problem.metric, target, _final(model, shuffled)) - before)
        found[feature.name] = float(np.mean(grown))
    ordered = dict(sorted(found.items(), key=lambda pair: -pair[1]))
    return ordered, len(model.design.features) - len(found)


def warnings_of(prepared: Prepared) -> list[dict[str, Any]]:
    """What whoever uses the model should know."""
    problem = prepared.problem
    found = [*_of_rows(prepared), *_of_target(problem)]
    for feature, values in problem.columns.items():
        missing = sum(value is None for value in values) if values.dtype == object else int(np.isnan(values).sum())
        if missing > MOSTLY_MISSING * len(values):
            found.append(_warning("mostly_missing", f"{missing / len(values):.0%} of {feature!r} is missing.", feature))
    return found + leaks(problem)


def leaks(problem: Problem) -> list[dict[str, Any]]:
    """Features that alone predict the target almost perfectly: often they are made of it, or known only afterwards."""
    rows = np.random.default_rng(problem.seed).permutation(len(problem.target))[:LEAK_ROWS]
    target, until = problem.target[rows], time.monotonic() + LEAK_SECONDS
    feature_of, found = problem.design.coded_features, []
    classes = bool(problem.classes)
    usual = float(np.bincount(target).max() / len(target)) if classes else 0.0
    kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
    tree = kind(max_depth=6, min_samples_leaf=3, random_state=0)
    folds = (StratifiedKFold if classes else KFold)(3, shuffle=True, random_state=0)
    for place, feature in enumerate(problem.design.features):
        if time.monotonic() > until:
            found.append(_warning("leaks_not_searched", f"Features from {feature.name!r} on were not examined, "
                                  "for lack of time.", None))  # fmt: skip
            break
        columns = problem.coded[rows][:, feature_of == place]
        predicted = cross_val_predict(tree, columns, target, cv=folds)
        score = float(np.mean(predicted == target)) if classes else float(r2_score(target, predicted))
        if score >= LEAK_SCORE and usual < LEAK_SCORE - 0.04:
            what = f"{score:.1%} of the classes" if classes else f"{score:.1%} of the variance"
            found.append(_warning("leakage_suspect", f"{feature.name!r} alone explains {what}. Make sure that it is "
                                  "known when predictions are made.", feature.name))  # fmt: skip
    return found


def _of_rows(prepared: Prepared) -> list[dict[str, Any]]:
    problem, found = prepared.problem, []
    used = len(problem.target)
    if used < FEW_ROWS:
        found.append(_warning("few_rows", f"{used} rows are few: the figures may be far off.", None))
    if used < prepared.rows:
        found.append(_warning("sampled_rows", f"{used} of {prepared.rows} rows, drawn by the seed, were used.", None))
    if prepared.without_target:
        found.append(_warning("rows_without_target", f"{prepared.without_target} rows have no target.", None))
    for name, why in prepared.left_out.items():
        if why != "excluded":
            found.append(_warning("column_left_out", f"{name!r} is no feature: {why}.", name))
    return found


def _of_target(problem: Problem) -> list[dict[str, Any]]:
    if not problem.classes:
        return []
    counts = np.bincount(problem.target, minlength=len(problem.classes))
    share = counts.min() / counts.sum()
    if share >= RARE_SHARE / max(1, len(problem.classes) / 2):
        return []
    rare = problem.classes[int(counts.argmin())]
    return [
        _warning("class_imbalance", f"Only {share:.1%} of the rows are {rare!r}: look at more than accuracy.", None)
    ]


def _final(model: Model, coded: np.ndarray) -> np.ndarray:
    predicted = model.predict_coded(coded)
    return predicted.scores if predicted.probabilities is None else np.log(np.maximum(predicted.probabilities, 1e-15))


def _warning(code: str, detail: str, column: str | None) -> dict[str, Any]:
    return {"code": code, "detail": detail, "column": column}
