"""What sets clusters apart, in the caller's own units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from omni.inference.tabular.clustering.schemas import CategoryProfile, Cluster, Distinction, NumberProfile
from omni.inference.tabular.columns import Column

MOST_DISTINCTIONS = 5


def profiles_of(columns: Sequence[Column], labels: np.ndarray) -> list[Cluster]:
    """One profile for each label from 0."""
    return [_profile(columns, labels == label, label) for label in range(int(labels.max(initial=-1)) + 1)]


def _profile(columns: Sequence[Column], inside: np.ndarray, label: int) -> Cluster:
    numbers, categories, distinctions = [], [], []
    for column in columns:
        if column.is_numeric:
            values = np.array(column.numbers)
            mine = values[inside]
            mean = float(np.mean(mine))
            numbers.append(NumberProfile(column=column.name, mean=mean, standard_deviation=float(np.std(mine))))
            if np.std(values) > 0:
                effect = (mean - float(np.mean(values))) / float(np.std(values))
                distinctions.append(Distinction(column=column.name, value=None, effect=effect))
        else:
            mine_by_value = Counter(value for value, taken in zip(column.categories, inside, strict=True) if taken)
            shares = {value: count / int(inside.sum()) for value, count in mine_by_value.most_common()}
            categories.append(CategoryProfile(column=column.name, shares=shares))
            distinctions += _category_distinctions(column, shares)
    distinctions.sort(key=lambda each: -abs(each.effect))
    return Cluster(
        label=label,
        size=int(inside.sum()),
        share=float(np.mean(inside)),
        numbers=numbers,
        categories=categories,
        distinguishing=distinctions[:MOST_DISTINCTIONS],
    )


def _category_distinctions(column: Column, shares: dict[str, float]) -> list[Distinction]:
    everyone = Counter(column.categories)
    rows = len(column.categories)
    if len(everyone) < 2:
        return []
    return [
        Distinction(
            column=column.name,
            value=value,
            effect=(shares.get(value, 0.0) - count / rows) / float(np.sqrt(count / rows * (1 - count / rows))),
        )
        for value, count in everyone.items()
    ]
