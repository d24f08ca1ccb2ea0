"""POST /v1/forecasts."""

from __future__ import annotations

import csv
import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.inference.backend import Backend, refusal, usage

pytestmark = pytest.mark.filterwarnings("ignore:possible convergence problem:UserWarning")
DATA = Path(__file__).parent.parent / "data"


def airline_passengers() -> list[float]:
    with (DATA / "airline_passengers.csv").open(encoding="utf-8") as file:
        return [float(row["passengers"]) for row in csv.DictReader(file)]


def request(values: list[float], **more: object) -> dict[str, Any]:
    return {"series": {"values": values, "frequency": "monthly"}, "horizon": 12, **more}


async def forecast(engines: Backend, body: dict[str, Any]) -> dict[str, Any]:
    response = await engines.post("/v1/forecasts", body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_the_last_year_of_airline_passengers(engines: Backend) -> None:
    values = airline_passengers()
    assert (len(values), sum(values)) == (144, 40_363)
    train, actual = values[:-12], values[-12:]
    body = request(train)
    body["series"]["start"] = "1949-01-31T00:00:00"
    response = await engines.post("/v1/forecasts", body)
    found = response.json()
    means = [point["mean"] for point in found["forecast"]]
    smape = sum(200 * abs(f - a) / (abs(f) + abs(a)) for f, a in zip(means, actual, strict=True)) / 12
    assert smape <= 6
    assert [point["time"] for point in found["forecast"][:2]] == ["1960-01-31T00:00:00", "1960-02-29T00:00:00"]
    inside = [
        p["intervals"][1]["lower"] <= a <= p["intervals"][1]["upper"]
        for p, a in zip(found["forecast"], actual, strict=True)
    ]
    assert sum(inside) >= 9
    assert response.headers["omni-model"].endswith(found["model"])
    assert usage(response)["compute_ms"] >= 1


async def test_auto_takes_the_smallest_backtest_error(engines: Backend) -> None:
    found = await forecast(engines, request(airline_passengers()))
    test = found["backtest"]
    assert (test["windows"], test["horizon"], found["season_length"], found["fitted_points"]) == (3, 12, 12, 144)
    assert {candidate["status"] for candidate in test["candidates"]} == {"measured"}
    single = [candidate for candidate in test["candidates"] if candidate["model"] != "ensemble"]
    best = min(single, key=lambda candidate: float(candidate["mae"]))
    assert best["model"] == found["model"]


async def test_backtest_of_seasonal_naive_by_hand(engines: Backend) -> None:
    values = airline_passengers()
    found = await forecast(engines, request(values, model="seasonal_naive"))
    (candidate,) = found["backtest"]["candidates"]
    pairs = [(values[i], values[i - 12]) for i in range(108, 144)]
    assert candidate["mae"] == pytest.approx(sum(abs(a - f) for a, f in pairs) / 36)
    assert candidate["smape"] == pytest.approx(sum(200 * abs(a - f) / (a + f) for a, f in pairs) / 36)
    assert [point["mean"] for point in found["forecast"]] == values[-12:]


@pytest.mark.parametrize("model", ["theta", "ets", "arima", "seasonal_naive"])
async def test_each_model_can_be_asked_for(engines: Backend, model: str) -> None:
    found = await forecast(engines, request(airline_passengers(), model=model, levels=[95, 80, 80]))
    assert found["model"] == model
    for point in found["forecast"]:
        narrow, wide = point["intervals"]
        assert (narrow["level"], wide["level"]) == (80, 95)
        assert wide["lower"] <= narrow["lower"] <= point["mean"] <= narrow["upper"] <= wide["upper"]


async def test_the_ensemble_is_the_median(engines: Backend) -> None:
    body = {"series": {"values": airline_passengers()[:30], "frequency": "yearly"}, "horizon": 3}
    parts = [await forecast(engines, {**body, "model": m}) for m in ("seasonal_naive", "theta", "ets", "arima")]
    found = await forecast(engines, {**body, "model": "ensemble"})
    assert found["model"] == found["backtest"]["candidates"][-1]["model"] == "ensemble"
    for step, point in enumerate(found["forecast"]):
        points = [part["forecast"][step] for part in parts]
        assert point["mean"] == pytest.approx(statistics.median(each["mean"] for each in points))
        lower = statistics.median(each["intervals"][0]["lower"] for each in points)
        assert point["intervals"][0]["lower"] == pytest.approx(lower)


async def test_a_backtest_by_hand(engines: Backend) -> None:
    values = airline_passengers()
    body = {**request(values, windows=4, models=["seasonal_naive", "theta"]), "horizon": 6}
    response = await engines.post("/v1/forecasts/backtest", body)
    test = response.json()["backtest"]
    assert (test["windows"], test["horizon"]) == (4, 6)
    naive, _, ensemble = test["candidates"]
    assert ensemble["model"] == "ensemble"
    misses = [values[i] - values[i - 12] for i in range(120, 144)]
    assert naive["mae"] == pytest.approx(sum(map(abs, misses)) / 24)
    assert naive["rmse"] == pytest.approx(math.sqrt(sum(miss * miss for miss in misses) / 24))
    scales = [statistics.fmean(abs(values[i] - values[i - 12]) for i in range(12, end)) for end in (120, 126, 132, 138)]
    scaled = [abs(miss) / scales[i // 6] for i, miss in enumerate(misses)]
    assert naive["mase"] == pytest.approx(statistics.fmean(scaled))
    assert 0 <= naive["coverage_80"] <= 1


async def test_a_backtest_needs_something_to_fit(engines: Backend) -> None:
    response = await engines.post("/v1/forecasts/backtest", {**request([1.0] * 20), "horizon": 6})
    assert (refusal(response), response.json()["minimum"]) == ((400, "series_too_short"), 23)


async def test_less_than_two_seasons_have_none(engines: Backend) -> None:
    found = await forecast(engines, request(airline_passengers()[:20]))
    assert found["season_length"] == 1


async def test_a_constant_series_goes_on(engines: Backend) -> None:
    found = await forecast(engines, request([5.0] * 30))
    assert {round(point["mean"], 6) for point in found["forecast"]} == {5.0}
    assert {candidate["mase"] for candidate in found["backtest"]["candidates"]} == {None}


async def test_auto_says_what_it_did_not_try(engines: Backend) -> None:
    values = [math.sin(index / 24 * math.tau) + index % 7 for index in range(1_200)]
    found = await forecast(engines, {"series": {"values": values, "frequency": "hourly"}, "horizon": 2})
    skipped = [c for c in found["backtest"]["candidates"] if c["status"] == "not_tried"]
    assert [candidate["model"] for candidate in skipped] == ["arima"]
    assert "500 points" in skipped[0]["reason"]
    assert found["fitted_points"] == 1_000


async def test_the_shortest_series_is_served(engines: Backend) -> None:
    found = await forecast(engines, request([1, 3, 2, 5, 4, 6, 8, 7]))
    assert len(found["forecast"]) == 12


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (request([]), (400, "series_too_short")),
        (request([1.0] * 7), (400, "series_too_short")),
        (request([1.0] * 10_001), (400, "invalid_request")),
        (request([1.0] * 9, horizon=0), (400, "invalid_request")),
        (request([1.0] * 9, horizon=501), (400, "invalid_request")),
        (request([1.0] * 9, levels=[100]), (400, "invalid_request")),
        (request([1.0] * 9, model="prophet"), (400, "invalid_request")),
        (request([1e16] * 9), (400, "value_not_usable")),
        ({"series": {"values": [1] * 9, "frequency": "secondly"}, "horizon": 1}, (400, "invalid_request")),
        ({"series": {"values": ["1"] * 9, "frequency": "daily"}, "horizon": 1}, (400, "invalid_request")),
        ({"series": {"values": [True] * 9, "frequency": "daily"}, "horizon": 1}, (400, "invalid_request")),
        (
            {"series": {"values": [1] * 9, "frequency": "yearly", "start": "9990-01-01"}, "horizon": 9},
            (400, "start_out_of_range"),
        ),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(await engines.post("/v1/forecasts", body)) == expected


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "null"])
async def test_numbers_that_are_none_are_refused_with_their_place(engines: Backend, number: str) -> None:
    body = f'{{"series": {{"values": [1,2,3,4,5,6,7,8,{number}], "frequency": "daily"}}, "horizon": 1}}'
    response = await engines.send(
        "POST", "/v1/forecasts", content=body.encode(), headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["param"] in ("series.values[8]", "series.values.8")
