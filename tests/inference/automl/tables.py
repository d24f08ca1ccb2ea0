"""Tables with a known truth, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np


def as_csv(columns: Mapping[str, Sequence[object]]) -> bytes:
    """None is an empty cell."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(columns)
    writer.writerows([["" if cell is None else cell for cell in row] for row in zip(*columns.values(), strict=True)])
    return made.getvalue().encode()


def churn(rows: int = 300, seed: int = 0) -> bytes:
    """Whether a customer leaves: by the plan, the months and a missing-at-random age; `noise` says nothing."""
    random = np.random.default_rng(seed)
    plan = random.choice(["basic", "pro", "team"], rows)
    months, age, noise = random.integers(1, 60, rows), random.normal(40, 12, rows), random.normal(size=rows)
    odds = 1.5 * (plan == "basic") - 0.05 * months + 0.5
    left = random.random(rows) < 1 / (1 + np.exp(-odds))
    ages = [None if place % 11 == 0 else round(float(value), 1) for place, value in enumerate(age)]
    return as_csv(
        {
            "customer": [f"c-{n}" for n in range(rows)], "plan": plan.tolist(), "months": months.tolist(), "age": ages,
            "noise": noise.round(4).tolist(), "left": ["yes" if each else "no" for each in left],
        }
    )  # fmt: skip


def prices(rows: int = 250, seed: int = 1) -> bytes:
    """price = 3·size + 20·garden + noise of deviation 2."""
    random = np.random.default_rng(seed)
    size, garden = random.uniform(20, 100, rows), random.random(rows) < 0.5
    price = 3 * size + 20 * garden + random.normal(0, 2, rows)
    return as_csv({"size": size.round(3).tolist(), "garden": [str(each).lower() for each in garden.tolist()],
                   "price": price.round(3).tolist()})  # fmt: skip
