"""The tabular operations: cases with values of the literature or worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.ai_operations import Operation

COMPUTE = frozenset({"compute_ms"})

G06 = {
    "objective": "(x - 10)**3 + (y - 20)**3",
    "variables": [{"name": "x", "low": 13, "high": 100}, {"name": "y", "low": 0, "high": 100}],
    "constraints": ["(x - 5)**2 + (y - 5)**2 >= 100", "(x - 6)**2 + (y - 5)**2 <= 82.81"],
    "evaluations": 10_000,
}


def is_the_optimum_of_g06(answer: Any) -> None:
    """Of Michalewicz and Schoenauer (1996)."""
    assert answer["feasible"]
    assert answer["best"]["value"] == pytest.approx(-6961.81388, abs=0.01)


AB_TEST = {
    "metric": "proportion",
    "variants": [{"name": "A", "successes": 48, "trials": 80}, {"name": "B", "successes": 56, "trials": 70}],
}
SAMPLE_SIZE = {"metric": "mean", "standard_deviation": 2, "minimum_effect": 1}


def is_newcombes_interval(answer: Any) -> None:
    """Newcombe (1998), table II, example (a), method 10."""
    interval = answer["comparisons"][0]["interval"]
    assert (interval["lower"], interval["upper"]) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def is_cohens_size(answer: Any) -> None:
    """Cohen (1992), table 2: a medium effect needs 64."""
    assert answer["control_size"] == 64


CASES = [
    Operation("POST", "/v1/experiments/ab-test", AB_TEST, is_newcombes_interval, COMPUTE),
    Operation("POST", "/v1/experiments/sample-size", SAMPLE_SIZE, is_cohens_size, COMPUTE),
    Operation("POST", "/v1/optimize", G06, is_the_optimum_of_g06, COMPUTE),
]
