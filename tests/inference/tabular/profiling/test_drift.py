"""POST /v1/tabular/drift against scipy and figures worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tests.inference.backend import Backend, refusal


async def drift(
    engines: Backend, reference: list[list[Any]], current: list[list[Any]], **more: object
) -> dict[str, Any]:
    body = {"reference": reference, "current": current, **more}
    response = await engines.post("/v1/tabular/drift", body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_categories_by_hand(engines: Backend) -> None:
    found = await drift(engines, [["a"]] * 50 + [["b"]] * 50, [["a"]] * 80 + [["b"]] * 20)
    (column,) = found["columns"]
    shares = (50.5 / 101, 80.5 / 101), (50.5 / 101, 20.5 / 101)
    assert column["psi"] == pytest.approx(sum((new - old) * math.log(new / old) for old, new in shares))
    assert column["jensen_shannon"] == pytest.approx(jensenshannon([0.5, 0.5], [0.8, 0.2], 2) ** 2)
    chi = stats.chi2_contingency([[50, 50], [80, 20]], correction=False)
    assert (column["statistic"], column["p_value"]) == pytest.approx((chi.statistic, chi.pvalue))
    assert (column["test"], column["verdict"], found["verdict"]) == ("chi_square", "major", "major")


async def test_numbers_as_scipy_tests_them(engines: Backend) -> None:
    random = np.random.default_rng(0)
    old, new = random.normal(0, 1, 500), random.normal(0.4, 1, 400)
    found = await drift(engines, [[v] for v in old.tolist()], [[v] for v in new.tolist()], columns=["x"])
    (column,) = found["columns"]
    expected = stats.ks_2samp(old, new, method="asymp")
    assert (column["statistic"], column["p_value"]) == pytest.approx((expected.statistic, expected.pvalue))
    edges = [-np.inf, *np.quantile(old, np.arange(0.1, 0.95, 0.1)), np.inf]
    counts = [np.histogram(v, edges)[0] + 0.5 for v in (old, new)]
    shares = [count / count.sum() for count in counts]
    assert column["psi"] == pytest.approx(float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0]))))
    assert (column["verdict"], found["drifted"]) == ("moderate", ["x"])


async def test_the_same_distribution_is_stable(engines: Backend) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        samples = [
            [[random.normal(), str(random.choice(["a", "b", "c"])), int(random.poisson(2))] for _ in range(400)]
            for _ in range(2)
        ]
        assert (await drift(engines, *samples))["verdict"] == "stable"


async def test_many_columns_are_corrected(engines: Backend) -> None:
    random = np.random.default_rng(4)
    samples = [random.normal(size=(60, 12)).tolist() for _ in range(2)]
    found = await drift(engines, *samples)
    raw = sorted(column["p_value"] for column in found["columns"])
    adjusted = sorted(column["adjusted_p_value"] for column in found["columns"])
    assert adjusted[0] == pytest.approx(min(1, 12 * raw[0]))
    assert raw[0] < adjusted[0]


async def test_missing_values_are_left_out_and_told(engines: Backend) -> None:
    found = await drift(engines, [[1], [2], [None], [3]] * 5, [[1], [2], [3], [None], [None]] * 4)
    (column,) = found["columns"]
    assert (column["missing_reference"], column["missing_current"]) == pytest.approx((0.25, 0.4))
    assert column["verdict"] == "stable"


async def test_rare_categories_are_taken_together(engines: Backend) -> None:
    found = await drift(engines, [[f"r{i}"] for i in range(20)], [[f"c{i}"] for i in range(20)])
    assert found["columns"][0]["p_value"] is None
    assert found["columns"][0]["jensen_shannon"] == pytest.approx(1)
    mixed = await drift(engines, [["a"]] * 40 + [["x"]] * 10, [["a"]] * 40 + [[f"y{i}"] for i in range(10)])
    assert mixed["columns"][0]["p_value"] == pytest.approx(
        stats.chi2_contingency([[40, 10, 0], [40, 0, 10]], correction=False).pvalue
    )


@pytest.mark.parametrize("values", [[5.0], [0.0, 1.0], [1e15, -1e15], [True], ["a"], [1, "a", True]])
async def test_the_same_rows_are_stable(engines: Backend, values: list[Any]) -> None:
    rows = [[value] for value in values] * 10
    found = await drift(engines, rows, rows)
    assert found["verdict"] == "stable"
    assert found["columns"][0]["psi"] == found["columns"][0]["jensen_shannon"] == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"reference": [[1]] * 8, "current": [[1]] * 7}, (400, "too_few_rows")),
        ({"reference": [[1]] * 8, "current": [[1, 2]] * 8}, (400, "samples_differ")),
        ({"reference": [[1]] * 8, "current": [[None]] * 8}, (400, "samples_differ")),
        ({"reference": [[1]] * 8, "current": [[1e16]] * 8}, (400, "value_not_usable")),
        ({"reference": [[1]] * 8, "current": [[1]] * 8, "significance": 0}, (400, "invalid_request")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(await engines.post("/v1/tabular/drift", body)) == expected
