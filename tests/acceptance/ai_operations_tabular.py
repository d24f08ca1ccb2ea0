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


CASES = [
    Operation("POST", "/v1/optimize", G06, is_the_optimum_of_g06, COMPUTE),
]
