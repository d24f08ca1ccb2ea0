"""POST /v1/customers/churn: a published probability, and each threshold."""

from __future__ import annotations

from typing import Any

import pytest

from omni.inference.tabular.customers.models import CustomerModels
from tests.inference.backend import Backend, refusal, usage
from tests.inference.tabular.customers.test_lifetime_value import CDNOW, purchases, simulated

LOYAL = {"id": "loyal", "frequency": 10, "recency": 39, "age": 40}
GONE = {"id": "gone", "frequency": 10, "recency": 8, "age": 40}
ONCE = {"id": "once", "frequency": 0, "recency": 0, "age": 40}


def histories() -> list[dict[str, Any]]:
    return [{name: v for name, v in customer.items() if name != "mean_value"} for customer in simulated(400)]


async def churn(engines: Backend, **settings: object) -> dict[str, Any]:
    """The answer; its last three customers are those above."""
    body = {"customers": [*histories(), LOYAL, GONE, ONCE], **settings}
    response = await engines.post("/v1/customers/churn", body)
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


def statuses(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(customer["status"], customer["reason"]) for customer in found["customers"][-3:]]


def test_the_published_probability() -> None:
    """Customer 1516 of CDNOW, x = 26, t_x = 30.86, T = 31: 0.9688523 (vignette of the R package BTYD)."""
    alive = CustomerModels().probability_alive(CDNOW, purchases((26, 30.857_143, 31)))
    assert alive[0] == pytest.approx(0.968_852_3, abs=1e-5)


async def test_customers_are_judged_by_their_probability(engines: Backend) -> None:
    found = await churn(engines)
    assert statuses(found) == [("active", None), ("churned", "probability"), ("unknown", None)]
    loyal, gone, once = found["customers"][-3:]
    assert loyal["probability_alive"] > 0.8
    assert (gone["idle"], gone["mean_interval"]) == (32, 0.8)
    assert (once["probability_alive"], once["mean_interval"]) == (None, None)
    assert sum(found["counts"].values()) == 403
    assert found["counts"]["unknown"] == sum(1 for each in found["customers"] if each["probability_alive"] is None)


async def test_those_who_bought_once_are_judged_by_time(engines: Backend) -> None:
    assert statuses(await churn(engines, idle_churned_after=40))[2] == ("churned", "idle")
    assert statuses(await churn(engines, idle_at_risk_after=26, idle_churned_after=52))[2] == ("at_risk", "idle")
    assert statuses(await churn(engines, idle_churned_after=41))[2] == ("active", None)


async def test_the_worse_of_both_thresholds_counts(engines: Backend) -> None:
    found = await churn(engines, at_risk_below=0.9999, churned_below=0, idle_churned_after=30)
    assert statuses(found) == [("at_risk", "probability"), ("churned", "idle"), ("churned", "idle")]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"at_risk_below": 0.1}, (400, "thresholds_invalid")),
        ({"idle_at_risk_after": 9, "idle_churned_after": 8}, (400, "thresholds_invalid")),
        ({"at_risk_below": 1.1}, (400, "invalid_request")),
        ({"customers": [LOYAL]}, (400, "too_few_rows")),
        ({"customers": [{**ONCE, "id": str(n)} for n in range(30)]}, (422, "customers_not_fitted")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, settings: dict[str, Any], expected: tuple[int, str]) -> None:
    body = {"customers": [*histories(), LOYAL], **settings}
    assert refusal(await engines.post("/v1/customers/churn", body)) == expected
