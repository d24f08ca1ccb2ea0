"""POST /v1/customers/lifetime-value: figures that Fader, Hardie and Lee publish for CDNOW, and customers simulated from
known parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from omni.inference.tabular.customers.models import CustomerModels, bg_nbd_log_likelihood, gamma_gamma_log_likelihood
from omni.inference.tabular.customers.purchases import Purchases
from tests.inference.backend import Backend, refusal, usage

CDNOW = (0.243, 4.414, 0.793, 2.426)
"""Table 2 of Fader, Hardie, Lee (2005)."""


def purchases(*customers: tuple[float, float, float]) -> Purchases:
    return Purchases(*np.array(customers, float).T)


def simulated(size: int, seed: int = 1) -> list[dict[str, Any]]:
    """Customers of r = 0.8, alpha = 4, a = 0.9, b = 2.5, p = 6, q = 4, v = 15, for 30 to 50 weeks."""
    random, customers = np.random.default_rng(seed), []
    for number in range(size):
        rate, drop, age = random.gamma(0.8, 1 / 4), random.beta(0.9, 2.5), random.uniform(30, 50)
        time, last, count = 0.0, 0.0, 0
        while True:
            time += random.exponential(1 / rate)
            if time > age:
                break
            last, count = time, count + 1
            if random.uniform() < drop:
                break
        customer: dict[str, Any] = {"id": f"c{number}", "frequency": count, "recency": last, "age": age}
        if count:
            customer["mean_value"] = float(np.mean(random.gamma(6, 1 / random.gamma(4, 1 / 15), count)))
        customers.append(customer)
    return customers


async def value(engines: Backend, customers: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    body = {"customers": customers, "horizon": 52, **more}
    response = await engines.post("/v1/customers/lifetime-value", body)
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


def test_the_published_customer() -> None:
    """x = 2, t_x = 30.43, T = 38.86: 1.226 purchases in the next 39 weeks (Fader, Hardie, Lee, note of 2004)."""
    expected = CustomerModels().expected_purchases(CDNOW, purchases((2, 30.43, 38.86)), 39)
    assert expected[0] == pytest.approx(1.226, abs=5e-4)


@pytest.mark.parametrize(("x", "recency", "age"), [(0, 0, 20), (1, 5, 20), (3, 12, 20)])
def test_the_likelihood_by_integration(x: int, recency: float, age: float) -> None:
    """Equation 3 of the paper over the gamma and beta distributions of its parameters."""
    r, alpha, a, b = CDNOW[0] + 1, CDNOW[1], CDNOW[2] + 1, CDNOW[3]

    def over_rates(until: float) -> float:
        """Of rate^x exp(-rate until)."""
        return float(
            integrate.quad(lambda u: u**x * np.exp(-u * until) * stats.gamma.pdf(u, r, scale=1 / alpha), 0, 20)[0]
        )

    staying = integrate.quad(lambda p: (1 - p) ** x * stats.beta.pdf(p, a, b), 0, 1)[0]
    exact = staying * over_rates(age)
    if x:
        exact += integrate.quad(lambda p: p * (1 - p) ** (x - 1) * stats.beta.pdf(p, a, b), 0, 1)[0] * over_rates(
            recency
        )
    found = bg_nbd_log_likelihood((r, alpha, a, b), purchases((x, recency, age)))
    assert float(np.exp(found[0])) == pytest.approx(exact, rel=1e-6)


def test_the_likelihood_of_values_by_integration() -> None:
    p, q, v, x, mean = 6.25, 3.74, 15.44, 3, 30.0
    exact, _ = integrate.quad(
        lambda nu: stats.gamma.pdf(mean, p * x, scale=1 / (nu * x)) * stats.gamma.pdf(nu, q, scale=1 / v), 0, 5
    )
    found = gamma_gamma_log_likelihood((p, q, v), np.array([float(x)]), np.array([mean]))
    assert float(np.exp(found[0])) == pytest.approx(exact, rel=1e-6)


async def test_known_parameters_are_found(engines: Backend) -> None:
    found = await value(engines, simulated(3_000))
    fitted = found["purchases"]
    assert (fitted["r"], fitted["alpha"]) == pytest.approx((0.8, 4), rel=0.2)
    assert fitted["a"] / (fitted["a"] + fitted["b"]) == pytest.approx(0.9 / 3.4, rel=0.2)
    mean = found["values"]["p"] * found["values"]["v"] / (found["values"]["q"] - 1)
    assert mean == pytest.approx(6 * 15 / 3, rel=0.1)
    assert abs(found["values"]["correlation"]) < 0.1


async def test_customers_are_told_apart(engines: Backend) -> None:
    named = [
        {"id": "loyal", "frequency": 10, "recency": 39, "age": 40, "mean_value": 50},
        {"id": "gone", "frequency": 10, "recency": 8, "age": 40, "mean_value": 50},
        {"id": "once", "frequency": 0, "recency": 0, "age": 40},
    ]
    found = await value(engines, [*simulated(400), *named])
    loyal, gone, once = found["customers"][-3:]
    assert loyal["probability_alive"] > 0.8
    assert gone["probability_alive"] < 0.1
    assert once["probability_alive"] == 1
    assert loyal["lifetime_value"] == pytest.approx(loyal["expected_purchases"] * loyal["expected_mean_value"])
    assert loyal["lifetime_value"] > 5 * gone["lifetime_value"]
    discounted = await value(engines, [*simulated(400), *named], discount_rate=0.01)
    assert 0.7 < discounted["customers"][-3]["lifetime_value"] / loyal["lifetime_value"] < 0.9


async def test_without_values_there_is_no_money(engines: Backend) -> None:
    customers = [{key: v for key, v in customer.items() if key != "mean_value"} for customer in simulated(100)]
    found = await value(engines, customers)
    assert found["values"] is None
    assert {customer["lifetime_value"] for customer in found["customers"]} == {None}
    assert all(customer["expected_purchases"] > 0 for customer in found["customers"])


async def test_the_unit_of_time_does_not_matter(engines: Backend) -> None:
    customers = simulated(200)
    days = [{**c, "recency": 7 * c["recency"], "age": 7 * c["age"]} for c in customers]
    here, there = await value(engines, customers), await value(engines, days, horizon=364)
    assert there["purchases"]["alpha"] == pytest.approx(7 * here["purchases"]["alpha"], rel=1e-3)
    for one, other in zip(here["customers"], there["customers"], strict=True):
        assert one["expected_purchases"] == pytest.approx(other["expected_purchases"], rel=1e-3)


ONE = {"id": "x", "frequency": 1, "recency": 5, "age": 9}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({**ONE, "recency": 10}, (400, "customers_invalid")),
        ({**ONE, "recency": 0}, (400, "customers_invalid")),
        ({**ONE, "frequency": 0}, (400, "customers_invalid")),
        ({**ONE, "id": "c0"}, (400, "customers_invalid")),
        ({**ONE, "frequency": 0, "recency": 0, "mean_value": 3}, (400, "customers_invalid")),
        ({**ONE, "age": 0}, (400, "invalid_request")),
        ({**ONE, "mean_value": 0}, (400, "invalid_request")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, last: dict[str, Any], expected: tuple[int, str]) -> None:
    body = {"customers": [*simulated(25), last], "horizon": 1}
    assert refusal(await engines.post("/v1/customers/lifetime-value", body)) == expected


async def test_too_few_customers_and_repeats(engines: Backend) -> None:
    few = {"customers": simulated(19), "horizon": 1}
    assert refusal(await engines.post("/v1/customers/lifetime-value", few)) == (400, "too_few_rows")
    never = [{"id": f"{i}", "frequency": 0, "recency": 0, "age": 9} for i in range(30)]
    body = {"customers": never, "horizon": 1}
    assert refusal(await engines.post("/v1/customers/lifetime-value", body)) == (422, "customers_not_fitted")


@pytest.mark.parametrize(
    "customer",
    [
        {"frequency": 1, "recency": 1e-9, "age": 1e6, "mean_value": 1e12},
        {"frequency": 100_000, "recency": 1e6, "age": 1e6, "mean_value": 1e-9},
        {"frequency": 3, "recency": 9, "age": 9, "mean_value": 5},
    ],
)
async def test_all_alike_are_answered_or_refused(engines: Backend, customer: dict[str, Any]) -> None:
    customers = [{"id": f"{i}", **customer} for i in range(20)]
    response = await engines.post("/v1/customers/lifetime-value", {"customers": customers, "horizon": 10})
    assert response.status_code in (200, 422), response.text
