"""Forecasts that use holidays and regressors. Heavy: loaded at first use.

A regression with ARIMA errors (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, chapter 10,
https://otexts.com/fpp3/dynamic.html): AutoARIMA of statsforecast with the columns as regressors. The season of hours,
days and weeks is sines and cosines beside them (dynamic harmonic regression, section 10.5): it is a steady one, and
seasonal ARIMA takes ten times as long there. That of months and quarters may change: it stays with ARIMA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from statsforecast.models import AutoARIMA

from omni.inference.tabular.forecasting import (
    COVERAGE_LEVEL,
    FIT_POINTS,
    MIN_TRAIN,
    CannotFit,
    Forecast,
    Forecaster,
    predicted_windows,
    windows_of,
)
from omni.inference.tabular.regressor_schemas import Effect
from omni.inference.tabular.schemas import BackTest, Candidate, ForecastModel

POINTS = 500  # fits see at most the latest of a longer series,
SEASONAL_POINTS = 200  # and of months and quarters these: seasonal ARIMA takes seconds on more
CHANGING_SEASONS = (4, 12)
HARMONICS = 4
POINTS_PER_COLUMN = 3
DEPENDENT = 1e-6  # a column is left out when less than this share of its size is news
LEFT_OUT: tuple[ForecastModel, ...] = ("seasonal_naive", "theta", "ets")
_NO_NEWS = (
    "in the values that were fitted it is constant, a straight line, a repeat of the season or follows from the others,"
    " so that its effect cannot be told"
)
Bounds = dict[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known beside the series: `values` float64 [points + steps ahead, columns]; `holidays` is the name of
    the holiday at each of these times, where a calendar was asked for.
    """

    names: list[str]
    values: np.ndarray
    holidays: list[str | None] | None = None


def columns_of(columns: Mapping[str, Sequence[float]], holidays: list[str | None] | None) -> Columns:
    """Columns of one length, by name."""
    return Columns(
        list(columns), np.column_stack([np.asarray(each, np.float64) for each in columns.values()]), holidays
    )


class RegressionForecaster:
    """Fits and forecasts with columns. Keeps nothing between calls."""

    def __init__(self) -> None:
        self._forecaster = Forecaster()
        self.name = self._forecaster.name

    def usable(self, values: Sequence[float]) -> int:
        """How many of the values are used."""
        return min(len(values), FIT_POINTS)

    def least(self, points: int, season: int, held_out: int, columns: int) -> tuple[int, int]:
        """The season that can be used, and how many values are needed to hold out so many and fit the rest."""
        if points - held_out < 2 * season:
            season = 1
        return season, held_out + max(season + season // 2, MIN_TRAIN) + POINTS_PER_COLUMN * columns

    def forecast(
        self,
        values: list[float],
        columns: Columns,
        season: int,
        horizon: int,
        levels: list[int],
        check_time: Callable[[], object],
    ) -> Forecast | None:
        """Forecast `horizon` steps after `values`, of which there are as many as `least` says; None when the model
        cannot be fitted. The other models are reported as not tried.
        """
        series = np.asarray(values[-FIT_POINTS:], np.float64)
        known = columns.values[-len(series) - horizon :]
        season, _ = self.least(len(series), season, 0, len(columns.names))
        windows = windows_of(len(series), season, horizon, POINTS_PER_COLUMN * len(columns.names))
        measured = self.back_test(values, columns, season, windows, ("arima",), check_time)
        reason = "the model takes no holidays or regressors"
        rest = [Candidate(model=name, status="not_tried", reason=reason) for name in LEFT_OUT]
        backtest = measured.model_copy(update={"candidates": [*measured.candidates, *rest]})
        check_time()
        try:
            mean, bounds, coefficients = _fit(series, known, season, horizon, levels)
        except CannotFit:
            return None
        effects = [
            Effect(name=name, coefficient=found, reason=_NO_NEWS if found is None else None)
            for name, found in zip(columns.names, coefficients, strict=True)
        ]
        return Forecast("arima", season, len(_latest(series, season)), mean, bounds, backtest, effects)

    def back_test(
        self,
        values: list[float],
        columns: Columns,
        season: int,
        windows_and_steps: tuple[int, int],
        names: Sequence[ForecastModel],
        check_time: Callable[[], object],
    ) -> BackTest:
        """`Forecaster.back_test` of the latest values, in which ARIMA is told the columns. In each part that is
        forecast it is told those of that part, as if they had been planned, and nothing later.
        """

        def predict(
            name: ForecastModel,
            series: np.ndarray,
            season: int,
            windows_and_steps: tuple[int, int],
            check_time: Callable[[], object],
        ) -> list[np.ndarray] | str:
            if name != "arima":
                return predicted_windows(name, series, season, windows_and_steps, check_time)
            return _predicted_windows(series, known, season, windows_and_steps, check_time)

        series = np.asarray(values[-FIT_POINTS:], np.float64)
        known = columns.values[len(values) - len(series) :]
        return self._forecaster.back_test(series, season, windows_and_steps, names, check_time, predict)


def _predicted_windows(
    series: np.ndarray,
    known: np.ndarray,
    season: int,
    windows_and_steps: tuple[int, int],
    check_time: Callable[[], object],
) -> list[np.ndarray] | str:
    windows, steps = windows_and_steps
    found = []
    for window in range(windows, 0, -1):
        check_time()
        origin = len(series) - window * steps
        try:
            mean, bounds, _ = _fit(series[:origin], known[: origin + steps], season, steps, [COVERAGE_LEVEL])
        except CannotFit as error:
            return str(error)
        found.append(np.stack([mean, *bounds[COVERAGE_LEVEL]]))
    return found


def _fit(
    series: np.ndarray, known: np.ndarray, season: int, steps: int, levels: list[int]
) -> tuple[np.ndarray, Bounds, list[float | None]]:
    """Forecasts, their bounds, and the coefficient of each column; None for columns that are left out."""
    series = _latest(series, season)
    points = len(series)
    known = known[-points - steps :]
    place = np.arange(points + steps)
    harmonic = season > 1 and season not in CHANGING_SEASONS
    terms = _harmonics(place, season) if harmonic else np.empty((points + steps, 0))
    own = terms if harmonic else np.eye(season)[place % season]
    used = _independent(known[:points], np.column_stack([np.ones(points), place[:points], own[:points]]))
    inputs = np.column_stack([terms, known[:, used]])
    centre, scale = inputs[:points].mean(axis=0), inputs[:points].std(axis=0)
    scaled = (inputs - centre) / scale
    engine = AutoARIMA(season_length=1 if harmonic else season, approximation=points > 150)
    told = (scaled[:points], scaled[points:]) if inputs.shape[1] else (None, None)
    try:
        with np.errstate(all="ignore"):
            engine.fit(series, told[0])
            found = engine.predict(steps, X=told[1], level=levels or None)
    except Exception as error:
        raise CannotFit("the model cannot be fitted to this series with these regressors") from error
    mean = np.asarray(found["mean"], np.float64)
    bounds = {level: (np.asarray(found[f"lo-{level}"]), np.asarray(found[f"hi-{level}"])) for level in levels}
    fitted = [engine.model_["coef"].get(f"ex_{1 + terms.shape[1] + index}", np.nan) for index in range(len(used))]
    slopes = np.asarray(fitted, np.float64) / scale[terms.shape[1] :]
    if not all(
        np.isfinite(part).all() for part in (mean, slopes, *(side for pair in bounds.values() for side in pair))
    ):
        raise CannotFit("the model gives no finite forecast for this series with these regressors")
    coefficients: list[float | None] = [None] * known.shape[1]
    for index, slope in zip(used, slopes.tolist(), strict=True):
        coefficients[index] = slope
    return mean, bounds, coefficients


def _latest(series: np.ndarray, season: int) -> np.ndarray:
    return series[-(SEASONAL_POINTS if season in CHANGING_SEASONS else POINTS) :]


def _harmonics(place: np.ndarray, season: int) -> np.ndarray:
    """Sines and cosines of the season, up to HARMONICS of each, float64 [places, terms]."""
    orders = np.arange(1, min(HARMONICS, (season - 1) // 2) + 1)
    angles = 2 * np.pi * np.outer(place, orders) / season
    return np.column_stack([np.sin(angles), np.cos(angles)])


def _independent(columns: np.ndarray, own: np.ndarray) -> list[int]:
    """Which columns are no sums of `own`, what the model has itself, and of columns before them."""
    used: list[int] = []
    for index, column in enumerate(columns.T):
        deviations = column - column.mean()
        size = float(np.linalg.norm(deviations))
        if size <= DEPENDENT * float(np.linalg.norm(column)):
            continue
        unit, base = deviations / size, np.column_stack([own, columns[:, used]])
        base = base / np.maximum(np.linalg.norm(base, axis=0), np.finfo(np.float64).tiny)
        rest = unit - base @ np.linalg.lstsq(base, unit, rcond=None)[0]
        if float(np.linalg.norm(rest)) > DEPENDENT:
            used.append(index)
    return used
