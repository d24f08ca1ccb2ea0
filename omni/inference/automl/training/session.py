"""One training, as far as it has come: trials, scores of rows outside the fits, and members, which a folder keeps."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from omni.inference.automl.serving.artifact import pack
from omni.inference.automl.serving.members import Member, load_member
from omni.inference.automl.training.families import ORDER, Config
from omni.inference.automl.training.finish import PER_FAMILY, Log, best_of_each, checked_member
from omni.inference.automl.training.problem import Problem
from omni.inference.automl.training.search import Search, Trial, cross_validate

TRIAL_SECONDS = 12.0
"""A trial that takes longer is given up."""
CARRIED_BYTES = 16 * 1024 * 1024
KIND = "kind"


class SliceOver(Exception):
    """There is no time for another step; what is done is kept."""


class Session:
    """Searches on, from where the trials that it is given ended."""

    def __init__(
        self, problem: Problem, folder: Path | None, trials: Sequence[Trial] = (),
        most_trials: int | None = None, families: Sequence[str] = ORDER, steps_until: float = math.inf,
    ) -> None:  # fmt: skip
        """`folder` keeps what took long; no step but the first is begun after `steps_until`, by the monotonic clock."""
        self._steps_until = steps_until
        self._stepped = False
        self.problem = problem
        self._folder = folder
        self._search = Search(problem, families, most_trials)
        self._search.replay(trials)
        self._scores: dict[str, np.ndarray] = {}

    @property
    def trials(self) -> list[Trial]:
        return self._search.trials

    def search(self, until: float, tell: Callable[[Trial], None], ends_at: float = math.inf) -> bool:
        """Tries once, and until the monotonic clock passes `until`; whether the search has come to its own end.

        A trial that `ends_at` cuts short counts for nothing: it is the first of the next slice, and has its whole time.
        """
        tried = False
        while not tried or time.monotonic() < until:
            proposed = self._search.next()
            if proposed is None:
                return True
            seconds = min(TRIAL_SECONDS, ends_at - time.monotonic()) if tried else TRIAL_SECONDS
            trial, scores = cross_validate(self.problem, *proposed, seconds, self._search.leader(proposed[0]))
            if trial.loss is None and seconds < TRIAL_SECONDS:
                return False
            tried = True
            self._search.tell(trial)
            if scores is not None:
                self._keep(trial, scores)
            tell(trial)
        return False

    def put_by(self) -> None:
        """Keeps the scores of the best trials for the next slice, where they are not too much to carry."""
        if sum(scores.nbytes for scores in self._scores.values()) <= CARRIED_BYTES:
            for name, scores in self._scores.items():
                self._store(name, _npy(scores))

    def outside(self, family: str, config: Config) -> np.ndarray | None:
        """The scores of a trial, from memory, from the folder, or computed once more. Raises SliceOver."""
        name = _name("outside", family, config)
        stored = self._load(name)
        if stored is not None:
            return _array(stored)
        if name in self._scores:
            scores: np.ndarray | None = self._scores[name]
        else:
            self._step()
            scores = cross_validate(self.problem, family, config, 3 * TRIAL_SECONDS)[1]
        if scores is not None:
            self._store(name, _npy(scores))
        return scores

    def member(self, problem: Problem, trial: Trial, log: Log) -> Member | None:
        """The trial's model, fitted on all rows of the problem, from the folder or fitted now; None when it does not
        predict as it did before it was stored. Raises SliceOver."""
        name = _name(f"member-{len(problem.target)}", trial.family, trial.config)
        stored = self._load(name)
        if stored is not None:
            return self._unpacked(problem, stored)
        self._step()
        member = checked_member(problem, trial, time.monotonic() + 3 * TRIAL_SECONDS, log)
        if self._folder is not None:
            files = {file: part if isinstance(part, bytes) else _npy(part) for file, part in member.parts().items()} \
                if member is not None else {}  # fmt: skip
            self._store(name, pack({KIND: b"" if member is None else member.kind.encode(), **files}))
        return member

    def _unpacked(self, problem: Problem, stored: bytes) -> Member | None:
        with zipfile.ZipFile(io.BytesIO(stored)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        kind = files.pop(KIND).decode()
        if not kind:
            return None
        parts = {name: _array(part) if name.endswith(".npy") else part for name, part in files.items()}
        return load_member(kind, parts, problem.outputs, (problem.coded.shape[1], problem.dense.shape[1]))

    def _step(self) -> None:
        if self._stepped and time.monotonic() > self._steps_until:
            raise SliceOver
        self._stepped = True

    def _load(self, name: str) -> bytes | None:
        if self._folder is None or not (self._folder / name).exists():
            return None
        return (self._folder / name).read_bytes()

    def _store(self, name: str, content: bytes) -> None:
        if self._folder is not None:
            part = self._folder / f"{name}.part"
            part.write_bytes(content)
            os.replace(part, self._folder / name)

    def _keep(self, trial: Trial, scores: np.ndarray) -> None:
        """Only of trials that may become members."""
        self._scores[_name("outside", trial.family, trial.config)] = scores
        wanted = {_name("outside", each.family, each.config) for each in best_of_each(self.trials, PER_FAMILY)}
        self._scores = {name: kept for name, kept in self._scores.items() if name in wanted}


def _name(what: str, family: str, config: Config) -> str:
    text = json.dumps([family, config], sort_keys=True)
    return f"{what}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _array(content: bytes) -> np.ndarray:
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))


def _npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=False)
    return made.getvalue()
