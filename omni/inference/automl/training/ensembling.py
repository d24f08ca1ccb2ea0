"""Ensembles chosen from a library of models by Caruana et al. (2004), Ensemble Selection from Libraries of Models.

Scores are added by weight: values of a regression, logarithms of a classification's probabilities (a logarithmic pool,
Genest and Zidek 1986), so that what each feature contributes can be added in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omni.inference.automl.training.scoring import loss

PICKS = 25
PARTS = 5
LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Weights of the library's models, which add up to 1."""

    weights: np.ndarray
    best_alone: float
    """Cross-validated loss of the model that is best alone, chosen without the rows that it is judged by."""
    together: float
    """Of one selection's ensemble, chosen likewise."""


def choose(metric: str, target: np.ndarray, library: np.ndarray, seed: int) -> Ensemble:
    """The ensemble of the library's scores [models, repeats, rows, outputs] of rows that were not fitted on.

    The selection is made on all rows and without each of five parts of them; the weights are the mean of all six
    (bagged ensemble selection, Caruana, Munson and Niculescu-Mizil 2006), so that no few rows decide. What has less
    than LEAST_WEIGHT is left out.
    """
    parts = np.random.default_rng(seed).permutation(len(target)) % PARTS
    alone, together, chosen = [], [], [_greedy(metric, target, library)[1]]
    for part in range(PARTS):
        seen, judged = parts != part, parts == part
        best, weights = _greedy(metric, target[seen], library[:, :, seen])
        chosen.append(weights)
        alone.append(_loss(metric, target[judged], library[best][:, judged]))
        together.append(_loss(metric, target[judged], _mix(weights, library[:, :, judged])))
    mean = np.mean(chosen, axis=0)
    kept = np.where(mean >= LEAST_WEIGHT, mean, 0)
    return Ensemble(kept / kept.sum(), float(np.mean(alone)), float(np.mean(together)))


def mixed(weights: np.ndarray, library: np.ndarray) -> np.ndarray:
    """The ensemble's scores [repeats, rows, outputs]."""
    return _mix(weights, library)


def _greedy(metric: str, target: np.ndarray, library: np.ndarray) -> tuple[int, np.ndarray]:
    """The best model alone, and the weights after adding, again and again, the one that helps most."""
    losses = [_loss(metric, target, scores) for scores in library]
    best = int(np.argmin(losses))
    counts = np.zeros(len(library))
    counts[best] = 1
    total, reached = library[best].copy(), losses[best]
    kept = counts.copy()
    for picks in range(2, PICKS + 1):
        tried = [_loss(metric, target, (total + scores) / picks) for scores in library]
        pick = int(np.argmin(tried))
        counts[pick] += 1
        total += library[pick]
        if tried[pick] < reached:
            reached, kept = tried[pick], counts.copy()
    return best, kept / kept.sum()


def _mix(weights: np.ndarray, library: np.ndarray) -> np.ndarray:
    return np.asarray(np.tensordot(weights, library, axes=1))


def _loss(metric: str, target: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean([loss(metric, target, each) for each in scores]))
