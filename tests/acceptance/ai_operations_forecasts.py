"""Forecasts that know holidays and regressors: what they find and foretell, beside least squares in numpy."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tests.acceptance.ai_operations import Operation

COMPUTE = frozenset({"compute_ms"})
# Public holidays of Bavaria in 2024, from https://www.stmi.bayern.de: those that all of Bavaria has.
BAVARIA = [
    "2024-01-01", "2024-01-06", "2024-03-29", "2024-04-01", "2024-05-01", "2024-05-09", "2024-05-20", "2024-05-30",
    "2024-10-03", "2024-11-01", "2024-12-25", "2024-12-26",
]  # fmt: skip
START, DAYS, AHEAD = date(2024, 1, 1), 358, 8
CLOSED, WEEK = -40.0, np.array([0.0, 3.0, 5.0, 4.0, 6.0, -8.0, -10.0])
UPLIFT = 7.0


def _columns() -> np.ndarray:
    """Weekdays, whether it is a holiday, and a campaign's size: float64 [days, 9]."""
    days = DAYS + AHEAD
    dates = [(START + timedelta(days=step)).isoformat() for step in range(days)]
    rng = np.random.default_rng(5)
    campaign = (rng.random(days) < 0.2) * rng.uniform(1, 3, days)
    closed = np.array([day in BAVARIA for day in dates], float)
    return np.column_stack([np.eye(7)[np.arange(days) % 7], closed, campaign])


COLUMNS = _columns()
SALES = COLUMNS @ [*(100 + WEEK), CLOSED, UPLIFT] + np.random.default_rng(8).normal(size=DAYS + AHEAD)
FITTED = np.linalg.lstsq(COLUMNS[:DAYS], SALES[:DAYS], rcond=None)[0]
"""By least squares: 7 weekdays, holiday, campaign."""
SERIES = {"values": SALES[:DAYS].tolist(), "frequency": "daily", "start": START.isoformat()}
PAST, FUTURE = COLUMNS[:DAYS, 8].tolist(), COLUMNS[DAYS:, 8].tolist()
TOLD = {"series": SERIES, "horizon": AHEAD, "holidays": {"country": "DE", "subdivision": "BY"}}


def is_as_by_least_squares(answer: Any) -> None:
    """The noise has a standard deviation of 1; without holidays and campaign days would be 7 to 40 off."""
    effects = {effect["name"]: effect["coefficient"] for effect in answer["effects"]}
    assert effects["holidays:DE-BY"] == pytest.approx(FITTED[7], abs=0.5)
    assert effects["campaign"] == pytest.approx(FITTED[8], abs=0.25)
    named = {point["time"][:10]: point["holiday"] for point in answer["forecast"] if point["holiday"]}
    assert named == {"2024-12-25": "Christmas Day", "2024-12-26": "Second Day of Christmas"}
    means = np.array([point["mean"] for point in answer["forecast"]])
    assert np.max(np.abs(means - COLUMNS[DAYS:] @ FITTED)) < 2
    assert all(point["mean"] < 80 for point in answer["forecast"] if point["holiday"])


def is_better_told(answer: Any) -> None:
    """Over the last 14 days, none of them a holiday: the noise's mean size is 0.8, a week of naive forecasts is off by
    more than the campaign, and nothing that is told can be of use to the naive model."""
    found = {each["model"]: each["mae"] for each in answer["backtest"]["candidates"]}
    by_hand = np.abs(SALES[DAYS - 14 : DAYS] - SALES[DAYS - 21 : DAYS - 7])
    assert found["seasonal_naive"] == pytest.approx(by_hand.mean())
    assert found["arima"] < 1.3 < found["seasonal_naive"]


CASES = [
    Operation(
        "POST",
        "/v1/forecasts",
        {**TOLD, "regressors": {"campaign": {"past": PAST, "future": FUTURE}}},
        is_as_by_least_squares,
        COMPUTE,
    ),
    Operation(
        "POST",
        "/v1/forecasts/backtest",
        {
            **TOLD,
            "horizon": 7,
            "windows": 2,
            "models": ["seasonal_naive", "arima"],
            "regressors": {"campaign": {"past": PAST}},
        },
        is_better_told,
        COMPUTE,
    ),
]
