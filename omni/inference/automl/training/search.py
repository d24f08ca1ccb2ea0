"""The search over families and configurations: FLAML's CFO in each family, turns between them by how good they are.

It is told losses and nothing of times: with the same seed and the same losses it proposes the same trials. A search
goes on elsewhere by being told again what was tried.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from omni.inference.automl.training.families import Config, TooSlow, cost, fit, space
from omni.inference.automl.training.problem import FOLDS, Problem
from omni.inference.automl.training.scoring import loss, shown

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from flaml.tune.searcher.blendsearch import CFO

MOST_TRIALS = 2_000
STALLED_AFTER, BETTER = 8, 1e-3
"""A family has no more turns after so many trials for each dimension of its space in which its loss became no better by
this share."""
REPEATED_PROPOSALS = 40
RACE = {1: 0.15, 2: 0.08, FOLDS: 0.03}
"""After so many folds a trial is given up when its loss is worse by this share than its family's best was there."""
FAILED = 1e30
"""The loss of a trial that took too long, for the searcher."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration, cross-validated."""

    family: str
    config: Config
    loss: float | None
    """None = it took too long, or has no finite score. Of a trial that was given up, what it would have been if it had
    gone on as far behind."""
    score: float | None
    """The metric as people know it, the mean over folds."""
    deviation: float | None
    """Of the score between folds, n − 1."""
    seconds: float
    fold_losses: list[float] = field(default_factory=list)
    complete: bool = False
    """Whether no fold was left out."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class _Lane:
    searcher: Any
    cost: float = 0.0
    """Of its trials, as `families.cost` guesses it."""
    best: float = math.inf
    leader: Trial | None = None
    """The complete trial with the smallest loss."""
    stalled: int = 0
    over: bool = False


class Search:
    """Ask `next`, evaluate, `tell`."""

    def __init__(self, problem: Problem, families: Sequence[str], most_trials: int | None) -> None:
        self.trials: list[Trial] = []
        self._most = min(most_trials or MOST_TRIALS, MOST_TRIALS)
        self._lanes: dict[str, _Lane] = {}
        self._outputs = problem.outputs
        self._asked = 0
        self._pending: str | None = None
        for place, family in enumerate(families):
            domain, points = space(family, problem)
            searcher = CFO(
                metric="loss", mode="min", space=domain, low_cost_partial_config=points[-1],
                points_to_evaluate=points, seed=problem.seed % 100_000 + place, cost_attr=None,
            )  # fmt: skip
            self._lanes[family] = _Lane(searcher)

    def next(self) -> tuple[str, Config] | None:
        """The next trial; None when the search is over."""
        while len(self.trials) < self._most:
            open_lanes = [(family, lane) for family, lane in self._lanes.items() if not lane.over]
            if not open_lanes:
                return None
            ranks = sorted(lane.best for lane in self._lanes.values())
            family, lane = min(open_lanes, key=lambda pair: pair[1].cost * (1 + ranks.index(pair[1].best)) ** 2)
            config = self._propose(lane)
            if config is not None:
                return family, config
            lane.over = True
        return None

    def tell(self, trial: Trial) -> None:
        """What the trial that `next` proposed came to."""
        assert self._pending is not None
        lane, found = self._lanes[trial.family], FAILED if trial.loss is None else trial.loss
        told = {"loss": found, **{f"config/{name}": value for name, value in trial.config.items()}}
        lane.searcher.on_trial_complete(self._pending, result=told)
        self._pending = None
        lane.cost += cost(trial.family, trial.config, self._outputs)
        lane.stalled += 1
        if found < lane.best - (BETTER * abs(lane.best) if math.isfinite(lane.best) else 0):
            lane.stalled = 0
        lane.best = min(lane.best, found)
        if trial.complete and (lane.leader is None or found < (lane.leader.loss or 0)):
            lane.leader = trial
        lane.over = lane.stalled >= STALLED_AFTER * len(trial.config)
        self.trials.append(trial)

    def leader(self, family: str) -> Trial | None:
        """The family's best trial, which the next one races against."""
        return self._lanes[family].leader

    def replay(self, trials: Iterable[Trial]) -> None:
        """Goes to where an earlier search was."""
        for trial in trials:
            proposed = self.next()
            if proposed is None:
                return
            self.tell(trial)

    def _propose(self, lane: _Lane) -> Config | None:
        for _ in range(REPEATED_PROPOSALS):
            self._pending = f"t{self._asked}"
            self._asked += 1
            config = lane.searcher.suggest(self._pending)
            if config is not None:
                return {name: value.item() if hasattr(value, "item") else value for name, value in config.items()}
        return None


def cross_validate(
    problem: Problem, family: str, config: Config, seconds: float, leader: Trial | None = None
) -> tuple[Trial, np.ndarray | None]:
    """The trial, and its scores of rows that it was not fitted on, float64 [repeats, rows, outputs]; None when it took
    longer than `seconds`, or fell too far behind the leader."""
    began = time.monotonic()
    until, losses, scores = began + seconds, [], []
    outside = np.empty((problem.repeats, len(problem.target), problem.outputs))
    size = len(problem.folds) // problem.repeats
    try:
        for place, (train, test) in enumerate(problem.folds):
            trained = fit(family, config, problem, train, until)
            predicted = trained.scores((problem.coded[test], problem.dense[test]))
            outside[place // size, test] = predicted
            losses.append(loss(problem.metric, problem.target[test], predicted))
            scores.append(shown(problem.metric, problem.target[test], predicted))
            if time.monotonic() > until:
                raise TooSlow
            if place + 1 < len(problem.folds) and _is_behind(losses, leader):
                break
    except TooSlow:
        return Trial(family, config, None, None, None, time.monotonic() - began), None
    spent, complete = time.monotonic() - began, len(losses) == len(problem.folds)
    found = float(np.mean(losses))
    if not math.isfinite(found) or (complete and not np.isfinite(outside).all()):
        return Trial(family, config, None, None, None, spent), None
    if leader is not None and leader.loss is not None and not complete:
        found = leader.loss * found / float(np.mean(leader.fold_losses[: len(losses)]))
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    trial = Trial(family, config, found, float(np.mean(scores)), spread, spent, losses, complete)
    return trial, outside if complete else None


def _is_behind(losses: list[float], leader: Trial | None) -> bool:
    margin = RACE.get(len(losses))
    if margin is None or leader is None:
        return False
    reference = float(np.mean(leader.fold_losses[: len(losses)]))
    return reference > 0 and float(np.mean(losses)) > reference * (1 + margin)
