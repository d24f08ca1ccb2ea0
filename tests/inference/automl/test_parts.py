"""The pieces that models are made of, against values computed elsewhere or by hand."""

from __future__ import annotations

import ctypes
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestRegressor
from sklearn.metrics import log_loss, roc_auc_score

from omni.inference.automl import checks
from omni.inference.automl.serving.calibration import Calibration
from omni.inference.automl.serving.design import Design, learn
from omni.inference.automl.serving.explaining import explain
from omni.inference.automl.serving.members import BadArtifact, ForestMember, load_member
from omni.inference.automl.serving.model import Model
from omni.inference.automl.training import calibration, ensembling
from omni.inference.automl.training.families import ORDER, fit
from omni.inference.automl.training.finish import as_stored
from omni.inference.automl.training.problem import Problem
from omni.inference.automl.training.scoring import interval, shown
from omni.inference.automl.training.search import Search, Trial
from omni.kit.errors import NotConfigured

CONFIGS: dict[str, dict[str, Any]] = {
    "linear": {"penalty": 1.0},
    "lightgbm": {
        "n_estimators": 20, "num_leaves": 7, "min_child_samples": 5, "learning_rate": 0.2, "log_max_bin": 8,
        "colsample_bytree": 0.8, "reg_alpha": 0.01, "reg_lambda": 1.0,
    },
    "extra_trees": {"n_estimators": 12, "max_features": 0.6, "max_leaves": 40, "min_samples_leaf": 1},
    "random_forest": {"n_estimators": 12, "max_features": 0.6, "max_leaves": 40, "min_samples_leaf": 1},
}  # fmt: skip


def problem(task: Any, classes: int = 0, rows: int = 160, seed: int = 3) -> Problem:
    """Numbers with missing ones, a category, a boolean and times."""
    random = np.random.default_rng(seed)
    x, y = random.normal(size=rows), random.normal(size=rows)
    kind = random.choice(["a", "b", "c"], rows).astype(object)
    target = 2 * x + (kind == "a") + 0.3 * random.normal(size=rows)
    if classes:
        target = np.digitize(target, np.quantile(target, np.linspace(0, 1, classes + 1)[1:-1]))
    y[::9], kind[::7] = np.nan, None
    columns = {
        "x": x, "y": y, "kind": kind, "flag": (random.random(rows) < 0.5).astype(float),
        "at": random.uniform(1.6e9, 1.7e9, rows),
    }  # fmt: skip
    kinds: Any = (("x", "number"), ("y", "number"), ("kind", "category"), ("flag", "boolean"), ("at", "timestamp"))
    names = tuple(f"c{number}" for number in range(classes))
    return Problem(task, kinds, columns, target, names, "log_loss" if classes else "rmse", 11)


PROBLEMS = [("regression", 0), ("classification", 2), ("classification", 4)]


@pytest.mark.parametrize("family", ORDER)
@pytest.mark.parametrize(("task", "classes"), PROBLEMS)
def test_what_is_stored_predicts_as_what_was_trained(family: str, task: str, classes: int) -> None:
    data = problem(task, classes)
    trained = fit(family, CONFIGS[family], data, np.arange(len(data.target)), time.monotonic() + 60)
    stored = as_stored(trained.member(), data)
    matrices = (data.coded, data.dense)
    np.testing.assert_allclose(stored.scores(*matrices), trained.scores(matrices), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", ORDER)
@pytest.mark.parametrize(("task", "classes"), PROBLEMS)
def test_contributions_add_up_to_the_score_minus_the_base(family: str, task: str, classes: int) -> None:
    data = problem(task, classes)
    member = fit(family, CONFIGS[family], data, np.arange(len(data.target)), time.monotonic() + 60).member()
    model = Model(task, data.classes, data.design, [member], np.ones(1), Calibration(), data.coded[:8], {})
    found = explain(model, data.coded[40:44], lambda: None)
    scores = model.scores(data.coded[40:44])
    if classes:
        scores = scores - scores.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found.base + found.by_feature.sum(axis=1), scores, atol=1e-6)


def test_a_forest_in_arrays_is_scikit_learns_forest() -> None:
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(300, 6)), random.integers(0, 3, 300)
    data = replace(problem("classification", 3, 300), target=labels)
    trained = fit("extra_trees", CONFIGS["extra_trees"], data, np.arange(300), time.monotonic() + 60)
    member = trained.member()
    assert isinstance(member, ForestMember)
    ours = ExtraTreesClassifier(
        12, max_features=0.6, max_leaf_nodes=40, min_samples_leaf=1, random_state=11, warm_start=True
    ).fit(data.dense.astype(np.float32), labels)
    shares = ours.predict_proba(data.dense.astype(np.float32))
    np.testing.assert_allclose(np.exp(member.scores(data.coded, data.dense)), (shares * 12 + 0.5) / 13.5)
    assert rows.shape == (300, 6)


def test_sampled_contributions_of_two_features_are_shapley_values() -> None:
    """With two features a permutation and its reverse are all there are: the values are exact."""
    random = np.random.default_rng(1)
    table = random.normal(size=(80, 2))
    forest = RandomForestRegressor(8, random_state=0).fit(table, table[:, 0] * table[:, 1])
    columns = {"a": table[:, 0], "b": table[:, 1]}
    kinds: Any = (("a", "number"), ("b", "number"))
    data = Problem("regression", kinds, columns, table[:, 0] * table[:, 1], (), "rmse", 0)
    member = fit("random_forest", CONFIGS["random_forest"], data, np.arange(80), time.monotonic() + 60).member()
    background, row = data.coded[:5], data.coded[70]
    model = Model("regression", (), data.design, [member], np.ones(1), Calibration(), background, {})
    found = explain(model, row[None], lambda: None).by_feature[0, :, 0]

    def value(a: bool, b: bool) -> float:
        mixed = background.copy()
        mixed[:, [a_or_b for a_or_b, taken in enumerate((a, b)) if taken]] = row[[n for n, t in enumerate((a, b)) if t]]
        return float(model.scores(mixed)[:, 0].mean())

    first = ((value(True, False) - value(False, False)) + (value(True, True) - value(False, True))) / 2
    second = ((value(False, True) - value(False, False)) + (value(True, True) - value(True, False))) / 2
    assert found == pytest.approx([first, second], abs=1e-9)
    assert forest.n_features_in_ == 2


def test_columns_become_numbers_by_rules_that_survive_json() -> None:
    columns = {
        "n": np.array([1.0, 3.0, np.nan]), "k": np.array(["b", "b", None], object),
        "t": np.array([0.0, 86_400 * 31 + 3_600 * 5, np.nan]),
    }  # fmt: skip
    design = learn([("n", "number"), ("k", "category"), ("t", "timestamp")], columns)
    assert Design.from_json(design.to_json()) == design
    coded = design.coded(columns)
    assert coded[0].tolist() == [1, 0, 0, 1, 3, 0], "1 January 1970 was a Thursday"
    assert coded[1].tolist() == [3, 0, 31 + 5 / 24, 2, 6, 5], "1 February 1970 was a Sunday"
    assert np.isnan(coded[2]).all()
    unseen = design.coded({**columns, "k": np.array(["new", "b", None], object)})
    assert np.isnan(unseen[0, 1])
    assert np.isfinite(design.dense(unseen)).all()


def test_metrics_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(2)
    scores, target = random.normal(size=(200, 3)), random.integers(0, 3, 200)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert shown("log_loss", target, scores) == pytest.approx(log_loss(target, shares))
    two = np.stack([-scores[:, 0] / 2, scores[:, 0] / 2], axis=1)
    assert shown("roc_auc", target == 1, two) == pytest.approx(roc_auc_score(target == 1, scores[:, 0]))
    bounds = interval("accuracy", target, scores, 0)
    assert bounds is not None
    assert bounds[0] < shown("accuracy", target, scores) < bounds[1]


def test_too_sure_probabilities_are_calibrated_and_good_ones_left_alone() -> None:
    random = np.random.default_rng(4)
    odds = random.normal(size=2_000) * 2
    target = (random.random(2_000) < 1 / (1 + np.exp(-odds))).astype(int)
    true = np.stack([-odds / 2, odds / 2], axis=1)[None]
    chosen, losses = calibration.choose(target, true * 4, 0)
    assert chosen.method == "platt"
    assert chosen.slope == pytest.approx(0.25, rel=0.15)
    assert losses["platt"] < losses["none"]
    left_alone, _ = calibration.choose(target, true, 0)
    good = calibration.log_loss(target, left_alone.probabilities(true[0]))
    assert good == pytest.approx(calibration.log_loss(target, Calibration().probabilities(true[0])), abs=5e-3)
    for each in (chosen, left_alone):
        assert Calibration.from_json(each.to_json(), 2) == each
    assert set(losses) == {"none", "platt", "isotonic"}
    assert set(calibration.choose(target[:999], true[:, :999], 0)[1]) == {"none", "platt"}


def test_an_ensemble_has_the_models_that_help() -> None:
    random = np.random.default_rng(5)
    truth = random.normal(size=400)
    good, other, noise = (truth + random.normal(size=400) * size for size in (0.5, 0.5, 30))
    together = ensembling.choose("rmse", truth, np.stack([good, other, noise])[:, None, :, None], 0)
    assert together.weights == pytest.approx([0.5, 0.5, 0], abs=0.15)
    assert together.together < together.best_alone
    alone = ensembling.choose("rmse", truth, np.stack([truth, noise])[:, None, :, None], 0)
    assert alone.weights.tolist() == [1, 0]


def test_no_few_rows_decide_on_an_ensemble() -> None:
    """Of two models, each much better on a few rows of its own, both are taken, whichever is ahead by chance."""
    random = np.random.default_rng(6)
    truth = random.normal(size=60)
    misses = random.normal(size=(2, 60)) * 0.1
    misses[0, :3] += 3
    misses[1, 3:6] += 3.05
    library = (truth + misses)[:, None, :, None]
    _, once = ensembling._greedy("rmse", truth, library)
    bagged = ensembling.choose("rmse", truth, library, 0).weights
    assert bagged.min() > 0.35
    assert abs(bagged[0] - 0.5) <= abs(once[0] - 0.5) + 0.05


def told(family: str, config: dict[str, Any]) -> Trial:
    """A made-up loss that depends on the configuration alone."""
    loss = 1 + abs(np.log(config.get("penalty", config.get("n_estimators", 1)) / 37)) + len(family) / 100
    return Trial(family, config, float(loss), float(loss), 0.1, 0.1, [float(loss)], True)


def test_a_search_goes_on_where_another_was() -> None:
    data = problem("regression")
    whole = Search(data, ORDER, 40)
    for _ in range(40):
        proposed = whole.next()
        assert proposed is not None
        whole.tell(told(*proposed))
    assert whole.next() is None
    resumed = Search(data, ORDER, 40)
    resumed.replay(whole.trials[:17])
    for expected in whole.trials[17:]:
        proposed = resumed.next()
        assert proposed == (expected.family, expected.config)
        resumed.tell(told(*proposed))
    assert {trial.family for trial in whole.trials} == set(ORDER)


@pytest.mark.parametrize("damage", ["cycle", "beyond", "column", "shape"])
def test_trees_that_lead_nowhere_are_refused(damage: str) -> None:
    data = problem("regression")
    member = fit("random_forest", CONFIGS["random_forest"], data, np.arange(160), time.monotonic() + 60).member()
    parts = dict(member.parts())
    left, feature, values = (np.array(parts[f"{name}.npy"]) for name in ("left", "feature", "values"))
    inner = int(np.flatnonzero(feature >= 0)[0])
    if damage == "cycle":
        left[inner] = inner
    elif damage == "beyond":
        left[inner] = len(left)
    elif damage == "column":
        feature[inner] = data.dense.shape[1]
    else:
        values = values[:-1]
    parts |= {"left.npy": left, "feature.npy": feature, "values.npy": values}
    with pytest.raises(BadArtifact):
        load_member("forest", parts, 1, (data.coded.shape[1], data.dense.shape[1]))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    checks.require_lightgbm()

    def missing(_: str) -> object:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(NotConfigured) as refused:
        checks.require_lightgbm()
    assert (refused.value.code, "libgomp1" in refused.value.message) == ("engine_not_installed", True)
