"""From trials to a model: the ensemble, its calibration, a test on rows that nothing has seen, and the final fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from omni.inference.automl.serving.calibration import Calibration
from omni.inference.automl.serving.members import Member, load_member
from omni.inference.automl.serving.model import Model
from omni.inference.automl.training import calibration, ensembling
from omni.inference.automl.training.families import Config, TooSlow, fit
from omni.inference.automl.training.problem import Problem
from omni.inference.automl.training.refused import Refused
from omni.inference.automl.training.search import Trial

PER_FAMILY = 2
CHECKED_ROWS = 200
TOLERANCE = 1e-6
BACKGROUND_ROWS = 16
Log = Callable[[str, str], None]
"""Gets the level and the message."""


class Outside(Protocol):
    """Gives a trial's scores of rows that it was not fitted on; None when it takes too long."""

    def __call__(self, family: str, config: Config) -> np.ndarray | None: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What the model is made of."""

    trials: list[Trial]
    """The members, heaviest first."""
    weights: np.ndarray
    calibration: Calibration
    scores: np.ndarray
    """Of the ensemble before calibration, of rows that were not fitted on [repeats, rows, outputs]."""
    facts: dict[str, Any]
    """For the card."""


def best_of_each(trials: Sequence[Trial], most: int = PER_FAMILY) -> list[Trial]:
    """The best trials of each family, best first."""
    found: list[Trial] = []
    for family in dict.fromkeys(trial.family for trial in trials):
        mine = [trial for trial in trials if trial.family == family and trial.complete]
        found += sorted(mine, key=_loss)[:most]
    return sorted(found, key=_loss)


def choose(problem: Problem, trials: Sequence[Trial], outside: Outside) -> Choice | None:
    """The ensemble and its calibration; None when no trial came to an end."""
    candidates, library = [], []
    for trial in best_of_each(trials):
        scores = outside(trial.family, trial.config)
        if scores is not None:
            candidates.append(trial)
            library.append(scores)
    if not candidates:
        return None
    together = np.stack(library)
    found = ensembling.choose(problem.metric, problem.target, together, problem.seed)
    heaviest = [place for place in np.argsort(-found.weights, kind="stable") if found.weights[place] > 0]
    scores = ensembling.mixed(found.weights, together)
    facts: dict[str, Any] = {
        "ensemble": {
            "used": len(heaviest) > 1, "loss_alone": found.best_alone, "loss_together": found.together,
        }
    }  # fmt: skip
    chosen = Calibration()
    if problem.classes:
        chosen, losses = calibration.choose(problem.target, scores, problem.seed)
        first = scores[0]
        facts["calibration"] = {
            "method": chosen.method, "log_loss": losses,
            "error_before": calibration.error(problem.target, Calibration().probabilities(first)),
            "error_after": calibration.error(problem.target, chosen.probabilities(first)),
        }  # fmt: skip
    return Choice([candidates[place] for place in heaviest], found.weights[heaviest], chosen, scores, facts)


def checked_member(problem: Problem, trial: Trial, until: float, log: Log) -> Member | None:
    """The trial's model, fitted on all rows, as it is stored; None, and a line in the log, when that does not predict
    as what was trained does, within 1e-6 of the value's size, or the fit takes too long."""
    try:
        trained = fit(trial.family, trial.config, problem, np.arange(len(problem.target)), until)
    except TooSlow:
        log("warning", f"A member ({trial.family}) was left out: its last fit took too long.")
        return None
    sample = (problem.coded[:CHECKED_ROWS], problem.dense[:CHECKED_ROWS])
    member = trained.member()
    expected, stored = trained.scores(sample), as_stored(member, problem).scores(*sample)
    difference = float(np.max(np.abs(expected - stored) / np.maximum(1, np.abs(expected))))
    if difference <= TOLERANCE:
        return member
    log("warning", f"A member ({trial.family}) was left out: as stored it predicts otherwise ({difference:.1e}).")
    return None


def as_stored(member: Member, problem: Problem) -> Member:
    """The member, read back from its parts."""
    return load_member(member.kind, member.parts(), problem.outputs, (problem.coded.shape[1], problem.dense.shape[1]))


def assemble(
    problem: Problem, choice: Choice, fitted: Callable[[Problem, Trial, Log], Member | None], log: Log
) -> Model:
    """The model of the choice, fitted on all rows of the problem. Raises Refused when no member is left."""
    members: list[Member] = []
    weights: list[float] = []
    for trial, weight in zip(choice.trials, choice.weights, strict=True):
        member = fitted(problem, trial, log)
        if member is not None:
            members.append(member)
            weights.append(float(weight))
    if not members:
        raise Refused("training_failed", "No model could be fitted to all rows in time. Send fewer columns or rows.")
    rows = np.random.default_rng(problem.seed).permutation(len(problem.target))[:BACKGROUND_ROWS]
    return Model(
        problem.task, problem.classes, problem.design, members, np.array(weights) / math.fsum(weights),
        choice.calibration, problem.coded[rows], {},
    )  # fmt: skip


def _loss(trial: Trial) -> float:
    return math.inf if trial.loss is None else trial.loss
