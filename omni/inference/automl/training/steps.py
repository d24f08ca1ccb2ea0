"""A training from its dataset to its artifact, in slices: search, choose, test on what was held out, fit, describe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from omni.inference.automl.schemas import AutomlRequest
from omni.inference.automl.serving.artifact import write
from omni.inference.automl.training import card
from omni.inference.automl.training.finish import Choice, Log, assemble, best_of_each, choose
from omni.inference.automl.training.problem import Problem
from omni.inference.automl.training.refused import Refused
from omni.inference.automl.training.search import Trial
from omni.inference.automl.training.session import Session
from omni.inference.automl.training.table import Prepared, prepare

LEADERS = 5
"""Configurations of each family on the leaderboard."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one process has to go by."""

    given: AutomlRequest
    data: Path
    folder: Path
    trials: Sequence[Trial]
    search_until: float | None
    """By the monotonic clock; None = the search is over."""
    ends_at: float
    steps_until: float
    """No long step but the first is begun later."""
    budget_used: bool
    """Whether the whole budget of the search ends with this slice."""


def run(
    work: Slice, tell: Callable[[Trial], None], say: Callable[[dict[str, Any]], None], log: Log
) -> tuple[bytes, dict[str, Any]] | None:
    """Artifact and result; None when the slice is over first. Raises Refused and SliceOver."""
    prepared = prepare(work.data, work.given)
    problem, held_out = _split(prepared.problem, work.given.held_out_share)
    session = Session(problem, work.folder, work.trials, work.given.max_trials, steps_until=work.steps_until)
    if not work.trials:
        say({"task": problem.task, "why_task": prepared.why_task, "metric": problem.metric})
        log("info", f"{problem.task.capitalize()} of {work.given.target!r} from {len(problem.kinds)} features and "
            f"{len(problem.target)} rows. {prepared.why_task}")  # fmt: skip
        for name, why in prepared.left_out.items():
            log("info", f"The column {name!r} is not used: {why}.")
    over = work.search_until is None or session.search(work.search_until, tell, work.ends_at)
    if not over and not work.budget_used:
        session.put_by()
        return None
    say({"phase": "finishing"})
    choice = choose(problem, session.trials, session.outside)
    if choice is None:
        raise Refused(
            "training_failed", "No model was fitted within the time. Allow more, or send fewer columns or rows."
        )
    evidence = None
    if held_out is not None:
        evidence = card.measured(assemble(problem, choice, session.member, log), held_out)
    final = prepared.problem if held_out is not None else problem
    model = assemble(final, choice, session.member, log)
    shuffled, unmeasured = card.importances(model, held_out or problem, problem.seed)
    if unmeasured:
        log("warning", f"There was no time to measure the importance of {unmeasured} features.")
    result = _result(work.given, prepared, session.trials, choice, evidence)
    result["card"] |= {"importances": shuffled, "features_not_measured": unmeasured}
    libraries = {name: version(name) for name in ("lightgbm", "scikit-learn", "numpy", "flaml")}
    artifact = write(replace(model, manifest={"libraries": libraries, "target": work.given.target}))
    return artifact, result


def _split(problem: Problem, share: float) -> tuple[Problem, Problem | None]:
    if share == 0:
        return problem, None
    rows = np.arange(len(problem.target))
    by = problem.target if problem.classes else None
    train, test = train_test_split(rows, test_size=share, random_state=problem.seed, stratify=by)
    return problem.take(np.sort(train)), problem.take(np.sort(test))


def _result(
    given: AutomlRequest, prepared: Prepared, trials: Sequence[Trial], choice: Choice, evidence: dict[str, Any] | None
) -> dict[str, Any]:
    problem = prepared.problem
    board = leaderboard(trials)
    members = [
        {"family": trial.family, "weight": float(weight)}
        for trial, weight in zip(choice.trials, choice.weights, strict=True)
    ]
    best = best_of_each(trials, 1)[0]
    metrics = {f"cv_{problem.metric}": best.score}
    if evidence is not None:
        metrics |= {f"held_out_{name}": each["value"] for name, each in evidence["metrics"].items()}
    limits = [
        "Predictions hold for rows like those of the dataset: compare new ones with it (drift).",
        "Contributions say what the model uses, not what causes the target.",
    ]
    described = {
        "task": problem.task, "why_task": prepared.why_task, "target": given.target, "metric": problem.metric,
        "data": {
            "dataset_id": str(given.dataset_id), "rows": len(problem.target), "features": len(problem.kinds),
            "left_out": prepared.left_out, "target": card.target_facts(problem),
        },
        "held_out": evidence,
        "evidence": "Held-out rows that the search did not see; the served model was then trained with all rows."
        if evidence is not None else "Cross-validation only: nothing was held out, the figures are a little too good.",
        "members": members, "leaderboard": board, "trials": len(trials), "limits": limits,
        "warnings": card.warnings_of(prepared), **choice.facts,
    }  # fmt: skip
    output = {"name": given.target, "kind": "category" if problem.classes else "number"}
    if problem.classes:
        output["classes"] = list(problem.classes)  # type: ignore[assignment]
    return {
        "task": problem.task, "why_task": prepared.why_task, "metric": problem.metric, "metrics": metrics,
        "leaderboard": board, "members": members, "card": described,
        "signature": {
            "inputs": [{"name": name, "kind": kind} for name, kind in problem.kinds], "outputs": [output],
        },
    }  # fmt: skip


def leaderboard(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The best configurations of each family, best first."""
    spent: dict[str, float] = {}
    for trial in trials:
        spent[trial.family] = spent.get(trial.family, 0.0) + trial.seconds
    return [
        {
            "family": trial.family, "config": trial.config, "score": trial.score, "deviation": trial.deviation,
            "seconds": round(trial.seconds, 3), "family_seconds": round(spent[trial.family], 3),
            "family_trials": sum(each.family == trial.family for each in trials),
        }
        for trial in best_of_each(trials, LEADERS)
    ]  # fmt: skip
