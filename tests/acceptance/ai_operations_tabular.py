"""The tabular operations: cases with values of the literature or worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.ai_operations import Operation
from tests.inference.tabular.customers.test_lifetime_value import simulated

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


NILE = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831,
    726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845,
    944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918,
    986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
]  # fmt: skip


def the_nile_fell_after_1898(answer: Any) -> None:
    """Cobb (1978); the series begins in 1871."""
    assert [1871 + change["index"] for change in answer["change_points"]] == [1899]


TWO_GROUPS = {"rows": [[0], [1], [2], [3], [100], [101], [102], [103], [104]], "clusters": 2}


def are_the_two_groups(answer: Any) -> None:
    """By hand."""
    assert answer["labels"] == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert [each["numbers"][0]["mean"] for each in answer["clusters"]] == pytest.approx([102, 1.5])


BASKETS = {
    "transactions": [
        ["bread", "milk"],
        ["bread", "nappies", "beer", "eggs"],
        ["milk", "nappies", "beer", "cola"],
        ["bread", "milk", "nappies", "beer"],
        ["bread", "milk", "nappies", "cola"],
    ],
    "min_support": 0.4,
    "min_confidence": 0.6,
}


def is_the_rule_of_the_textbook(answer: Any) -> None:
    """Tan, Steinbach, Kumar (2005), example 6.1."""
    confidences = {(*rule["antecedent"], *rule["consequent"]): rule["confidence"] for rule in answer["rules"]}
    assert confidences["milk", "nappies", "beer"] == pytest.approx(2 / 3)


TABLE = {"rows": [[1, "a"], [2, "b"], [None, "b"], [9, "b"]], "columns": ["n", "t"]}
SAMPLES = {"reference": [["a"]] * 50 + [["b"]] * 50, "current": [["a"]] * 80 + [["b"]] * 20}


def is_the_profile(answer: Any) -> None:
    """By hand."""
    numbers, texts = answer["columns"]
    assert (numbers["missing"], numbers["numbers"]["mean"], texts["distinct"]) == (1, 4, 2)


def is_the_drift(answer: Any) -> None:
    """Chi-square of [[50, 50], [80, 20]] by hand: 900 / 65 + 900 / 35 over 2 rows = 19.78."""
    assert answer["columns"][0]["statistic"] == pytest.approx(19.7802, abs=1e-4)


ALTERNATING = {"series": {"values": [1, 3] * 10, "frequency": "yearly"}, "horizon": 2, "models": ["seasonal_naive"]}
HIERARCHY = {
    "series": [{"name": "a", "values": [1] * 10}, {"name": "b", "values": [2] * 10}],
    "totals": [{"name": "all", "of": ["a", "b"]}],
    "frequency": "yearly",
    "horizon": 2,
}


def is_the_error_of_naive(answer: Any) -> None:
    """Naive is right on every other step and 2 off on the others: by hand."""
    assert answer["backtest"]["candidates"][0]["mae"] == pytest.approx(1)


def adds_up_to_three(answer: Any) -> None:
    """Constant series go on."""
    assert answer["nodes"][0]["forecast"] == pytest.approx([3, 3])


STREAM = {
    "points": [{"time": f"2026-01-01T00:{minute:02}:00Z", "value": 5} for minute in range(30)]
    + [{"time": "2026-01-01T00:30:00Z", "value": 9}]
}


def is_the_jump_of_the_stream(answer: Any) -> None:
    """A constant has no spread: any other value is as far away as can be said."""
    assert [result["anomaly"] for result in answer["results"]] == [False] * 30 + [True]
    assert answer["results"][-1]["score"] == 1e9


CUSTOMERS = {"customers": simulated(100), "horizon": 52}


def are_the_customers(answer: Any) -> None:
    """Who never bought again has had no chance to leave, as the BG/NBD has it."""
    alive = {customer["id"]: customer["probability_alive"] for customer in answer["customers"]}
    assert {alive[each["id"]] for each in simulated(100) if each["frequency"] == 0} == {1}
    assert all(0 < alive[each["id"]] < 1 for each in simulated(100) if each["frequency"] > 0)


CHURN = {
    "customers": [
        *({name: v for name, v in customer.items() if name != "mean_value"} for customer in simulated(300)),
        {"id": "gone", "frequency": 10, "recency": 8, "age": 40},
        {"id": "once", "frequency": 0, "recency": 0, "age": 40},
    ],
    "idle_at_risk_after": 39,
}


def are_gone_and_at_risk(answer: Any) -> None:
    """Ten purchases in eight weeks and none in 32 since; one purchase 40 weeks ago."""
    gone, once = answer["customers"][-2:]
    assert (gone["status"], gone["reason"], gone["idle"]) == ("churned", "probability", 32)
    model = answer["purchases"]
    odds = ((model["alpha"] + 40) / (model["alpha"] + 8)) ** (model["r"] + 10) * model["a"] / (model["b"] + 9)
    assert gone["probability_alive"] == pytest.approx(1 / (1 + odds), rel=1e-6)
    assert (once["status"], once["reason"], once["probability_alive"]) == ("at_risk", "idle", None)


CASES = [
    Operation("POST", "/v1/customers/lifetime-value", CUSTOMERS, are_the_customers, COMPUTE),
    Operation("POST", "/v1/customers/churn", CHURN, are_gone_and_at_risk, COMPUTE),
    Operation("POST", "/v1/anomalies/stream", STREAM, is_the_jump_of_the_stream, COMPUTE),
    Operation("POST", "/v1/forecasts/backtest", ALTERNATING, is_the_error_of_naive, COMPUTE),
    Operation("POST", "/v1/forecasts/hierarchical", HIERARCHY, adds_up_to_three, COMPUTE),
    Operation("POST", "/v1/tabular/profile", TABLE, is_the_profile, COMPUTE),
    Operation("POST", "/v1/tabular/drift", SAMPLES, is_the_drift, COMPUTE),
    Operation("POST", "/v1/tabular/association-rules", BASKETS, is_the_rule_of_the_textbook, COMPUTE),
    Operation("POST", "/v1/tabular/cluster", TWO_GROUPS, are_the_two_groups, COMPUTE),
    Operation("POST", "/v1/series/change-points", {"values": NILE}, the_nile_fell_after_1898, COMPUTE),
    Operation("POST", "/v1/experiments/ab-test", AB_TEST, is_newcombes_interval, COMPUTE),
    Operation("POST", "/v1/experiments/sample-size", SAMPLE_SIZE, is_cohens_size, COMPUTE),
    Operation("POST", "/v1/optimize", G06, is_the_optimum_of_g06, COMPUTE),
]
