"""POST /v1/forecasts/hierarchical; reconciliation against the formula with explicit inverses, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.inference.tabular.hierarchy.reconciliation import reconciled, summing_matrix
from omni.inference.tabular.hierarchy.schemas import Method
from tests.inference.backend import Backend, refusal, usage

METHODS: tuple[Method, ...] = ("bottom_up", "top_down", "mint_ols", "mint_wls")


def request(**more: object) -> dict[str, Any]:
    random = np.random.default_rng(0)
    season = np.tile([0.0, 5.0, 9.0, 3.0], 8)
    series = [
        {"name": name, "values": (level + season + random.normal(0, 1, 32)).tolist()}
        for name, level in (("a", 20.0), ("b", 40.0), ("c", 80.0))
    ]
    totals = [
        {"name": "all", "of": ["a", "b", "c"]},
        {"name": "ab", "of": ["a", "b"]},
        {"name": "bc", "of": ["b", "c"]},
    ]
    return {"series": series, "totals": totals, "frequency": "quarterly", "horizon": 4, **more}


async def forecast(engines: Backend, body: dict[str, Any]) -> dict[str, Any]:
    response = await engines.post("/v1/forecasts/hierarchical", body)
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize("method", METHODS)
async def test_totals_are_sums(engines: Backend, method: str) -> None:
    found = await forecast(engines, request(method=method, start="2020-01-01"))
    nodes = {node["name"]: np.array(node["forecast"]) for node in found["nodes"]}
    assert nodes["all"] == pytest.approx(nodes["a"] + nodes["b"] + nodes["c"], rel=1e-9)
    assert nodes["ab"] == pytest.approx(nodes["a"] + nodes["b"], rel=1e-9)
    assert nodes["bc"] == pytest.approx(nodes["b"] + nodes["c"], rel=1e-9)
    assert found["largest_gap"] < 1e-9
    assert nodes["all"] == pytest.approx([140, 155, 167, 149], abs=6)
    assert found["times"][0] == "2028-01-01T00:00:00"
    base = {node["name"]: node["base"] for node in found["nodes"]}
    if method == "bottom_up":
        assert nodes["a"] == pytest.approx(base["a"])
    if method == "top_down":
        assert nodes["all"] == pytest.approx(base["all"])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_mint_by_its_formula(seed: int) -> None:
    random = np.random.default_rng(seed)
    summing = summing_matrix([[0, 1, 2, 3], [0, 1], [2, 3]], 4)
    base, variances, history = random.normal(size=(7, 3)), random.uniform(0.1, 9, 7), np.ones((4, 5))
    weights_of: dict[Method, np.ndarray] = {"mint_ols": np.eye(7), "mint_wls": np.diag(1 / variances)}
    for method, weights in weights_of.items():
        inverse = np.linalg.inv(summing.T @ weights @ summing)
        expected = summing @ inverse @ summing.T @ weights @ base
        assert reconciled(base, summing, method, variances, history) == pytest.approx(expected)
    coherent = summing @ random.normal(size=(4, 3))
    for any_method in (METHODS[0], *METHODS[2:]):
        assert reconciled(coherent, summing, any_method, variances, history) == pytest.approx(coherent)


def test_reconciliation_by_hand() -> None:
    """Total 10, parts 3 and 4: ols adds a third of the gap of 3 to each and takes one from the total: 4, 5, 9."""
    summing, base = summing_matrix([[0, 1]], 2), np.array([[10.0], [3.0], [4.0]])
    history = np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0]])
    variances = np.ones(3)
    assert reconciled(base, summing, "mint_ols", variances, history).ravel() == pytest.approx([9, 4, 5])
    assert reconciled(base, summing, "bottom_up", variances, history).ravel() == pytest.approx([7, 3, 4])
    assert reconciled(base, summing, "top_down", variances, history).ravel() == pytest.approx([10, 3.75, 6.25])


async def test_constant_series_go_on(engines: Backend) -> None:
    series = [{"name": "a", "values": [0.0] * 8}, {"name": "b", "values": [5.0] * 8}]
    for method in METHODS:
        body = {"series": series, "totals": [{"name": "t", "of": ["a", "b"]}], "frequency": "daily", "horizon": 2}
        found = await forecast(engines, {**body, "method": method})
        assert found["nodes"][0]["forecast"] == pytest.approx([5, 5])


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"totals": [{"name": "t", "of": ["x"]}]}, "hierarchy_invalid", "totals[0].of"),
        ({"totals": [{"name": "t", "of": ["a", "a"]}]}, "hierarchy_invalid", "totals[0].of"),
        ({"totals": [{"name": "a", "of": ["b"]}]}, "hierarchy_invalid", "series"),
        ({"totals": [{"name": "t", "of": ["a"]}], "method": "top_down"}, "hierarchy_invalid", "totals[0].of"),
        ({"series": [{"name": "a", "values": [1] * 8}] * 2}, "hierarchy_invalid", "series"),
        (
            {"series": [{"name": "a", "values": [1] * 8}, {"name": "b", "values": [1] * 9}]},
            "hierarchy_invalid",
            "series[1].values",
        ),
        ({"series": [{"name": "a", "values": [1]}]}, "series_too_short", "series[0].values"),
        ({"series": []}, "invalid_request", "series"),
        ({"start": "9999-01-01"}, "start_out_of_range", "series.start"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, change: dict[str, Any], code: str, param: str) -> None:
    response = await engines.post("/v1/forecasts/hierarchical", request(**change))
    assert refusal(response) == (400, code)
    assert response.json()["param"] == param
