"""POST /v1/experiments/sample-size against Cohen's table and statsmodels."""

from __future__ import annotations

from typing import Any

import pytest
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from tests.inference.backend import Backend, refusal


async def plan(engines: Backend, **body: object) -> dict[str, Any]:
    response = await engines.post("/v1/experiments/sample-size", body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize(("effect", "size"), [(0.2, 394), (0.5, 64), (0.8, 26)])
async def test_cohens_table(engines: Backend, effect: float, size: int) -> None:
    """Cohen (1992, A Power Primer), table 2: n for power 0.80 at 0.05, two-sided: 393, 64, 26 (393 is rounded down)."""
    found = await plan(engines, metric="mean", standard_deviation=1, minimum_effect=effect)
    assert (found["control_size"], found["treatment_size"]) == (size, size)
    power = TTestIndPower()
    assert found["power"] == pytest.approx(power.power(effect, size, 0.05), abs=1e-6)
    assert power.power(effect, size - 1, 0.05) < 0.8 <= power.power(effect, size, 0.05)


async def test_one_sided_and_uneven(engines: Backend) -> None:
    found = await plan(
        engines, metric="mean", standard_deviation=4, minimum_effect=-1, sides=1, power=0.9, treatment_ratio=2
    )
    exact = TTestIndPower().solve_power(0.25, None, 0.05, 0.9, ratio=2, alternative="larger")
    assert found["control_size"] == pytest.approx(exact, abs=1)
    assert found["treatment_size"] == 2 * found["control_size"]


@pytest.mark.parametrize(("baseline", "effect", "ratio"), [(0.1, 0.02, 1), (0.5, -0.1, 1), (0.05, 0.01, 0.5)])
async def test_proportions_as_statsmodels_has_them(
    engines: Backend, baseline: float, effect: float, ratio: float
) -> None:
    found = await plan(engines, metric="proportion", baseline=baseline, minimum_effect=effect, treatment_ratio=ratio)
    size = found["control_size"]

    def power(control: int) -> float:
        known = power_proportions_2indep(-effect, baseline + effect, control, ratio, 0.05, return_results=True)
        return float(known.power)

    assert power(size) == pytest.approx(found["power"], abs=1e-5)  # it adds the other tail
    assert power(size - 1) < 0.8 <= power(size)


async def test_several_treatments_share_the_level(engines: Backend) -> None:
    found = await plan(
        engines, metric="proportion", baseline=0.1, minimum_effect=0.02, treatments=3, units_per_day=1_000
    )
    assert found["corrected_significance"] == pytest.approx(0.05 / 3)
    assert found["total_size"] == 4 * found["control_size"]
    assert found["days"] == found["total_size"] / 1_000


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"metric": "proportion", "minimum_effect": 0.1}, 400, "experiment_invalid"),
        ({"metric": "proportion", "baseline": 0.95, "minimum_effect": 0.1}, 400, "experiment_invalid"),
        ({"metric": "proportion", "baseline": 0.5, "minimum_effect": 0}, 400, "experiment_invalid"),
        ({"metric": "mean", "baseline": 0.5, "minimum_effect": 1}, 400, "experiment_invalid"),
        ({"metric": "mean", "standard_deviation": 0, "minimum_effect": 1}, 400, "invalid_request"),
        ({"metric": "mean", "standard_deviation": 1, "minimum_effect": 1e-9}, 422, "sample_too_large"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], status: int, code: str) -> None:
    assert refusal(await engines.post("/v1/experiments/sample-size", body)) == (status, code)


async def test_extremes_are_planned(engines: Backend) -> None:
    found = await plan(engines, metric="mean", standard_deviation=1e-300, minimum_effect=1e15)
    assert found["control_size"] == 2
