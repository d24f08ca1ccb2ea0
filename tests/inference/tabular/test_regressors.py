"""Holidays and regressors of POST /v1/forecasts and /v1/forecasts/backtest."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tests.inference.backend import Backend, refusal

pytestmark = pytest.mark.filterwarnings("ignore:possible convergence problem:UserWarning")
# Public holidays of Bavaria in 2024, from https://www.stmi.bayern.de: those that all of Bavaria has.
BAVARIA_2024 = [
    "2024-01-01", "2024-01-06", "2024-03-29", "2024-04-01", "2024-05-01", "2024-05-09", "2024-05-20", "2024-05-30",
    "2024-10-03", "2024-11-01", "2024-12-25", "2024-12-26",
]  # fmt: skip
START = date(2024, 1, 1)
WEEK = np.array([0.0, 3.0, 5.0, 4.0, 6.0, -8.0, -10.0])


def noise(points: int) -> np.ndarray:
    return np.random.default_rng(8).normal(size=points)


def shop(points: int, ahead: int) -> tuple[list[float], list[float], list[float]]:
    """Sales that follow the week and a campaign: 100 + week + 7 campaign; and the campaign, past and ahead."""
    rng = np.random.default_rng(5)
    campaign = (rng.random(points + ahead) < 0.2) * rng.uniform(1, 3, points + ahead)
    sales = 100 + np.resize(WEEK, points + ahead) + 7 * campaign + noise(points + ahead)
    return sales.tolist(), campaign[:points].tolist(), campaign[points:].tolist()


def body(values: list[float], horizon: int, **more: object) -> dict[str, Any]:
    series = {"values": values, "frequency": "daily", "start": START.isoformat()}
    return {"series": series, "horizon": horizon, **more}


async def answer(engines: Backend, path: str, request: dict[str, Any]) -> dict[str, Any]:
    response = await engines.post(path, request)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_campaign_moves_the_forecast(engines: Backend) -> None:
    sales, past, future = shop(200, 14)
    request = body(sales[:200], 14, regressors={"campaign": {"past": past, "future": future}})
    found = await answer(engines, "/v1/forecasts", request)
    (effect,) = found["effects"]
    week = np.eye(7)[np.arange(200) % 7]
    by_least_squares = np.linalg.lstsq(np.column_stack([week, past]), np.array(sales[:200]), rcond=None)[0][-1]
    assert effect["name"] == "campaign"
    assert effect["coefficient"] == pytest.approx(by_least_squares, abs=0.25)
    misses = np.array([point["mean"] for point in found["forecast"]]) - sales[200:]
    assert float(np.mean(np.abs(misses))) < 1.3  # the noise alone: 0.8
    assert float(np.max(np.abs(misses))) < 4  # a campaign that is not seen: 7 to 21
    assert found["model"] == "arima"
    left_out = {each["model"]: each["reason"] for each in found["backtest"]["candidates"] if each["reason"]}
    assert set(left_out) == {"seasonal_naive", "theta", "ets"}
    assert set(left_out.values()) == {"the model takes no holidays or regressors"}


async def test_other_plans_make_another_forecast(engines: Backend) -> None:
    sales, past, _ = shop(200, 0)
    means = []
    for planned in (0.0, 2.0):
        regressors = {"campaign": {"past": past, "future": [planned] * 3}}
        found = await answer(engines, "/v1/forecasts", body(sales, 3, regressors=regressors))
        means.append([point["mean"] for point in found["forecast"]])
    slope = found["effects"][0]["coefficient"]
    assert np.subtract(means[1], means[0]).tolist() == pytest.approx([2 * slope] * 3)


async def test_holidays_of_a_part_of_a_country(engines: Backend) -> None:
    days = [START + timedelta(days=step) for step in range(366)]
    closed = np.array([day.isoformat() in BAVARIA_2024 for day in days])
    sales = (100 + np.resize(WEEK, 366) - 40 * closed + noise(366)).tolist()
    request = body(sales[:358], 8, holidays={"country": "DE", "subdivision": "BY"})
    found = await answer(engines, "/v1/forecasts", request)
    named = {point["time"][:10]: point["holiday"] for point in found["forecast"] if point["holiday"]}
    assert named == {"2024-12-25": "Christmas Day", "2024-12-26": "Second Day of Christmas"}
    assert found["effects"][0]["name"] == "holidays:DE-BY"
    assert found["effects"][0]["coefficient"] == pytest.approx(-40, abs=1.5)
    means = [point["mean"] for point in found["forecast"]]
    assert np.max(np.abs(np.subtract(means, sales[358:]))) < 4


async def test_what_says_nothing_new_is_named(engines: Backend) -> None:
    sales, past, future = shop(100, 7)
    weekend = [float(step % 7 > 4) for step in range(107)]
    columns = {
        "campaign": (past, future),
        "double": ([2 * each for each in past], [2 * each for each in future]),
        "constant": ([5.0] * 100, [6.0] * 7),
        "line": (list(map(float, range(100))), list(map(float, range(100, 107)))),
        "weekend": (weekend[:100], weekend[100:]),
    }
    regressors = {name: {"past": before, "future": ahead} for name, (before, ahead) in columns.items()}
    found = await answer(engines, "/v1/forecasts", body(sales[:100], 7, regressors=regressors))
    used = {effect["name"] for effect in found["effects"] if effect["coefficient"] is not None}
    assert used == {"campaign"}
    assert all("cannot be told" in effect["reason"] for effect in found["effects"] if effect["name"] != "campaign")


async def test_hours_have_a_steady_season(engines: Backend) -> None:
    hours = np.arange(312)
    heat = np.random.default_rng(2).normal(size=312)
    load = 50 + 10 * np.sin(2 * np.pi * hours / 24) + 4 * np.cos(4 * np.pi * hours / 24) + 6 * heat + 0.1 * noise(312)
    regressors = {"heat": {"past": heat[:288].tolist(), "future": heat[288:].tolist()}}
    series = {"values": load[:288].tolist(), "frequency": "hourly"}
    found = await answer(engines, "/v1/forecasts", {"series": series, "horizon": 24, "regressors": regressors})
    assert found["season_length"] == 24
    assert found["effects"][0]["coefficient"] == pytest.approx(6, abs=0.05)
    assert np.max(np.abs(np.subtract([point["mean"] for point in found["forecast"]], load[288:]))) < 0.6


async def test_months_keep_a_season_that_changes(engines: Backend) -> None:
    months = np.arange(96)
    plan = np.random.default_rng(4).normal(size=96)
    swing = np.sin(2 * np.pi * months / 12) * (10 + months / 8)
    sales = 200 + swing + 5 * plan + 0.2 * noise(96)
    regressors = {"plan": {"past": plan[:84].tolist(), "future": plan[84:].tolist()}}
    series = {"values": sales[:84].tolist(), "frequency": "monthly"}
    found = await answer(engines, "/v1/forecasts", {"series": series, "horizon": 12, "regressors": regressors})
    assert found["effects"][0]["coefficient"] == pytest.approx(5, abs=0.3)
    assert np.mean(np.abs(np.subtract([point["mean"] for point in found["forecast"]], sales[84:]))) < 2


async def test_a_backtest_knows_nothing_after_its_parts(engines: Backend) -> None:
    sales, past, _ = shop(150, 0)
    request = {"windows": 2, "models": ["seasonal_naive", "arima"]}
    told = {**request, "regressors": {"campaign": {"past": past}}}
    with_it = (await answer(engines, "/v1/forecasts/backtest", body(sales, 7, **told)))["backtest"]["candidates"]
    without = (await answer(engines, "/v1/forecasts/backtest", body(sales, 7, **request)))["backtest"]["candidates"]
    assert with_it[0] == without[0]
    assert with_it[1]["mae"] < 1.3 < without[1]["mae"]
    # Each part, asked for as a forecast from what lay before it:
    misses: list[float] = []
    for origin in (136, 143):
        regressors = {"campaign": {"past": past[:origin], "future": past[origin : origin + 7]}}
        found = await answer(engines, "/v1/forecasts", body(sales[:origin], 7, regressors=regressors))
        misses += [abs(p["mean"] - sales[origin + step]) for step, p in enumerate(found["forecast"])]
    assert with_it[1]["mae"] == pytest.approx(sum(misses) / 14)


NINE = list(map(float, range(9)))
UNDATED = {"series": {"values": NINE, "frequency": "daily"}, "horizon": 2, "holidays": {"country": "DE"}}
MONTHLY = {**UNDATED, "series": {"values": NINE, "frequency": "monthly", "start": "2024-01-01"}}


def with_one(past: list[float], future: list[float], **more: object) -> dict[str, Any]:
    return body(NINE, 2, regressors={"a": {"past": past, "future": future}}, **more)


def in_country(country: str, subdivision: str | None = None) -> dict[str, Any]:
    return body(NINE * 3, 2, holidays={"country": country, "subdivision": subdivision})


NINE_OF_THEM = {f"r{index}": {"past": NINE, "future": [1, 2]} for index in range(9)}


@pytest.mark.parametrize(
    ("request_body", "code", "param"),
    [
        (in_country("XX"), "unknown_country", "holidays.country"),
        (in_country("../"), "unknown_country", "holidays.country"),
        (in_country("DE", "ZZ"), "unknown_subdivision", "holidays.subdivision"),
        (MONTHLY, "holidays_need_days", "holidays"),
        (UNDATED, "holidays_need_days", "holidays"),
        (with_one(NINE, [1, 2], model="ets"), "model_takes_no_regressors", "model"),
        (with_one(NINE, [1, 2], model="ensemble"), "model_takes_no_regressors", "model"),
        (with_one(NINE[1:], [1, 2]), "regressor_length_differs", "regressors.a.past"),
        (with_one(NINE, [1]), "regressor_length_differs", "regressors.a.future"),
        (with_one(NINE, [1, 1e16]), "value_not_usable", "regressors.a.future[1]"),
        (body(NINE, 2, regressors=NINE_OF_THEM), "series_too_short", "series.values"),
        (body(NINE, 2, regressors={"a b": {"past": NINE, "future": [1, 2]}}), "invalid_request", None),
    ],
)
async def test_bad_input_is_refused(
    engines: Backend, request_body: dict[str, Any], code: str, param: str | None
) -> None:
    response = await engines.post("/v1/forecasts", request_body)
    assert refusal(response) == (400, code), response.text
    assert param is None or response.json()["param"] == param


async def test_backtests_refuse_what_no_model_takes(engines: Backend) -> None:
    told = {"regressors": {"a": {"past": NINE * 4}}}
    response = await engines.post("/v1/forecasts/backtest", body(NINE * 4, 2, **told))
    assert refusal(response) == (400, "model_takes_no_regressors")
    response = await engines.post("/v1/forecasts/backtest", body(NINE * 4, 12, models=["arima"], **told))
    assert (refusal(response), response.json()["minimum"]) == ((400, "series_too_short"), 44)


async def test_the_answer_says_how_many_values_were_fitted(engines: Backend) -> None:
    values, plan = noise(240), np.random.default_rng(6).normal(size=241)
    for frequency, fitted in (("quarterly", 200), ("yearly", 240)):
        series = {"values": (values + plan[:240]).tolist(), "frequency": frequency}
        regressors = {"plan": {"past": plan[:240].tolist(), "future": plan[240:].tolist()}}
        found = await answer(engines, "/v1/forecasts", {"series": series, "horizon": 1, "regressors": regressors})
        assert found["fitted_points"] == fitted


@pytest.mark.parametrize("start", ["2100-12-20", "1990-12-20"])
async def test_years_that_calendars_do_not_cover_are_refused(engines: Backend, start: str) -> None:
    request = in_country("DE")
    request["series"]["start"] = start
    response = await engines.post("/v1/forecasts", request)
    assert refusal(response) == (400, "holidays_not_known")
    assert "1991 to 2100" in response.json()["detail"]
