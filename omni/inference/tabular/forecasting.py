"""Forecasts with statsforecast. Heavy: loaded at first use.

The models are those of Hyndman and Athanasopoulos, Forecasting: Principles and Practice (https://otexts.com/fpp3/):
seasonal naive, theta (Assimakopoulos and Nikolopoulos 2000, with AutoTheta's choice of variant), exponential
smoothing (AutoETS) and ARIMA (AutoARIMA, approximated on long series as R's auto.arima does).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from statsforecast.models import AutoARIMA, AutoETS, AutoTheta, SeasonalNaive

from omni.inference.tabular.schemas import BackTest, Candidate, ForecastModel

FIT_POINTS = 1_000  # models see at most the latest of a longer series: fits of AutoETS stay under a second
ARIMA_POINTS = 500  # `auto` leaves ARIMA out beyond this length,
ARIMA_SEASON = 24  # or this season: a fit takes seconds there
WINDOWS = 3
MIN_TRAIN = 5
CHEAPEST_FIRST: tuple[ForecastModel, ...] = ("seasonal_naive", "theta", "ets", "arima")


class CannotFit(Exception):
    """The model cannot be fitted to this series."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts of one model: `mean` float64 [horizon]; `bounds` (lower, upper) float64 [horizon] by level in
    percent.
    """

    model: ForecastModel
    season_length: int
    fitted_points: int
    mean: np.ndarray
    bounds: dict[int, tuple[np.ndarray, np.ndarray]]
    backtest: BackTest


class Forecaster:
    """Fits, chooses and forecasts. Keeps nothing between calls."""

    def __init__(self) -> None:
        self.name = f"statsforecast-{version('statsforecast')}"

    def forecast(
        self,
        values: list[float],
        season: int,
        horizon: int,
        levels: list[int],
        model: str,
        check_time: Callable[[], object],
    ) -> Forecast | None:
        """Forecast `horizon` steps after `values` (at least 8 finite numbers).

        `season` is the number of steps in a season; series shorter than two seasons are treated as having none.
        `model` is one of CHEAPEST_FIRST or `auto`. `check_time` is called between fits and stops the work by raising.
        None when no model fits.
        """
        series = np.asarray(values[-FIT_POINTS:], np.float64)
        if len(series) < 2 * season:
            season = 1
        windows, steps = _windows(len(series), season, horizon)
        names = CHEAPEST_FIRST if model == "auto" else tuple(name for name in CHEAPEST_FIRST if name == model)
        candidates = []
        for name in names:
            if model == "auto" and name == "arima" and (len(series) > ARIMA_POINTS or season > ARIMA_SEASON):
                reason = f"auto tries arima up to {ARIMA_POINTS} points and seasons of {ARIMA_SEASON}"
                candidates.append(Candidate(model=name, status="not_tried", reason=reason))
                continue
            candidates.append(_back_test(name, series, season, (windows, steps), check_time))
        backtest = BackTest(windows=windows, horizon=steps, candidates=candidates)
        best_first = sorted(candidates, key=lambda found: (found.mae is None, found.mae or 0.0))
        for candidate in best_first:
            if candidate.status == "not_tried":
                continue
            check_time()
            try:
                mean, bounds = _fit(candidate.model, series, season, horizon, levels)
            except CannotFit:
                continue
            return Forecast(candidate.model, season, len(series), mean, bounds, backtest)
        return None


def _windows(points: int, season: int, horizon: int) -> tuple[int, int]:
    """How many parts to hold out, and their length: up to WINDOWS of up to a season or a tenth, whatever leaves
    enough to fit.
    """
    least = max(season + season // 2, MIN_TRAIN)
    steps = max(1, min(horizon, max(season, points // 10)))
    for windows in range(WINDOWS, 0, -1):
        if points - windows * steps >= least:
            return windows, steps
    return 1, max(1, points - least)


def _back_test(
    name: ForecastModel,
    series: np.ndarray,
    season: int,
    windows_and_steps: tuple[int, int],
    check_time: Callable[[], object],
) -> Candidate:
    """Errors of the forecasts of the last parts of the series, each made from all that lies before it."""
    windows, steps = windows_and_steps
    errors, percentages, scaled = [], [], []
    for window in range(windows, 0, -1):
        check_time()
        train = series[: len(series) - window * steps]
        actual = series[len(train) : len(train) + steps]
        try:
            mean, _ = _fit(name, train, season, steps, [])
        except CannotFit as error:
            return Candidate(model=name, status="failed", reason=str(error))
        misses = np.abs(mean - actual)
        size = np.abs(mean) + np.abs(actual)
        errors.append(misses)
        percentages.append(200 * np.divide(misses, size, out=np.zeros(steps), where=size > 0))
        naive = float(np.mean(np.abs(train[season:] - train[:-season])))
        if naive > 0:
            scaled.append(misses / naive)
    return Candidate(
        model=name,
        status="measured",
        mae=float(np.mean(errors)),
        smape=float(np.mean(percentages)),
        mase=float(np.mean(scaled)) if len(scaled) == windows else None,
    )


def _fit(
    name: ForecastModel, series: np.ndarray, season: int, horizon: int, levels: list[int]
) -> tuple[np.ndarray, dict[int, tuple[np.ndarray, np.ndarray]]]:
    engine = _engine(name, len(series), season)
    try:
        with np.errstate(all="ignore"):
            found = engine.forecast(series, horizon, level=levels or None)
    except Exception as error:
        raise CannotFit("the model cannot be fitted to this series") from error
    mean = np.asarray(found["mean"], np.float64)
    bounds = {
        level: (np.asarray(found[f"lo-{level}"], np.float64), np.asarray(found[f"hi-{level}"], np.float64))
        for level in levels
    }
    if not all(np.isfinite(part).all() for part in (mean, *(side for pair in bounds.values() for side in pair))):
        raise CannotFit("the model gives no finite forecast for this series")
    return mean, bounds


def _engine(name: ForecastModel, points: int, season: int) -> SeasonalNaive | AutoTheta | AutoETS | AutoARIMA:
    if name == "seasonal_naive":
        return SeasonalNaive(season_length=season)
    if name == "theta":
        return AutoTheta(season_length=season)
    if name == "ets":
        return AutoETS(season_length=season)
    return AutoARIMA(season_length=season, approximation=points > 150 or season > 12)
