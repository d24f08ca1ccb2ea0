"""Joining requests for the same model along their first dimension, and taking the answer apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def fit_together(first: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether the two can be joined: the same inputs, types and sides but the first."""
    return first.keys() == other.keys() and all(
        array.dtype == other[name].dtype and array.shape[1:] == other[name].shape[1:] and array.ndim == other[name].ndim
        for name, array in first.items()
    )


def join(requests: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One request of all rows, in order."""
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


def split(outputs: Mapping[str, np.ndarray], rows: Sequence[int]) -> list[dict[str, np.ndarray]] | None:
    """The answers by request, of so many rows each; None when an output has not one row for each that came in."""
    total = sum(rows)
    if any(array.ndim == 0 or array.shape[0] != total for array in outputs.values()):
        return None
    answers, at = [], 0
    for count in rows:
        answers.append({name: array[at : at + count] for name, array in outputs.items()})
        at += count
    return answers
