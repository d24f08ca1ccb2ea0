"""Columns as a matrix in which distances mean something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omni.inference.tabular.clustering.schemas import Scaling
from omni.inference.tabular.columns import Column


@dataclass(frozen=True, slots=True)
class Features:
    """`matrix`: float64 [rows, features], scaled; `unused`: columns of one value."""

    matrix: np.ndarray
    unused: list[str]


def features_of(columns: Sequence[Column], scaling: Scaling) -> Features:
    """Numbers scaled as asked for; categories as indicators, each column's together of variance 1."""
    blocks, unused = [], []
    for column in columns:
        block = _scaled(np.array(column.numbers), scaling) if column.is_numeric else _indicators(column.categories)
        if block is None:
            unused.append(column.name)
        else:
            blocks.append(block)
    rows = len(columns[0].numbers or columns[0].categories)
    return Features(np.concatenate(blocks, axis=1) if blocks else np.empty((rows, 0)), unused)


def _scaled(numbers: np.ndarray, scaling: Scaling) -> np.ndarray | None:
    if np.ptp(numbers) == 0 or np.std(numbers) == 0:
        return None
    if scaling == "none":
        return np.asarray(numbers[:, None])
    if scaling == "robust":
        low, middle, high = np.quantile(numbers, [0.25, 0.5, 0.75])
        spread = high - low if high > low else np.std(numbers)
        return np.asarray((numbers - middle)[:, None] / spread)
    return np.asarray((numbers - np.mean(numbers))[:, None] / np.std(numbers))


def _indicators(categories: Sequence[str]) -> np.ndarray | None:
    values, places = np.unique(np.array(categories, dtype=object), return_inverse=True)
    if len(values) < 2:
        return None
    block = np.eye(len(values))[places]
    shares = np.mean(block, axis=0)
    return np.asarray((block - shares) / np.sqrt(1 - np.sum(shares**2)))
