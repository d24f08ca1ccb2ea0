"""Forecasts with statsforecast. Heavy: loaded at first use.

The models are those of Hyndman and Athanasopoulos, Forecasting: Principles and Practice (https://otexts.com/fpp3/):
seasonal naive, theta (Assimakopoulos and Nikolopoulos 2000, with AutoTheta's choice of variant), exponential
smoothing (AutoETS) and ARIMA (AutoARIMA, approximated on long series as R's auto.arima does).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from statsforecast.models import AutoARIMA, AutoETS, AutoTheta, SeasonalNaive

from omni.inference.tabular.regressor_schemas import Effect
from omni.inference.tabular.schemas import BackTest, Candidate, ForecastModel

FIT_POINTS = 1_000  # models see at most the latest of a longer series: fits of AutoETS stay under a second
ARIMA_POINTS = 500  # `auto` leaves ARIMA out beyond this length,
ARIMA_SEASON = 24  # or this season: a fit takes seconds there
WINDOWS = 3
MIN_TRAIN = 5
COVERAGE_LEVEL = 80
CHEAPEST_FIRST: tuple[ForecastModel, ...] = ("seasonal_naive", "theta", "ets", "arima")


Predict = Callable[
    [ForecastModel, np.ndarray, int, tuple[int, int], Callable[[], object]],
    list[np.ndarray] | str,
]
"""What `predicted_windows` is one of."""


class CannotFit(Exception):
    """The model cannot be fitted to this series."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts of one model: `mean` float64 [horizon]; `bounds` (lower, upper) float64 [horizon] by level in
    percent.
    """

    model: ForecastModel | Literal["ensemble"]
    season_length: int
    fitted_points: int
    mean: np.ndarray
    bounds: dict[int, tuple[np.ndarray, np.ndarray]]
    backtest: BackTest
    effects: Sequence[Effect] = ()


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
        `model` is one of CHEAPEST_FIRST, `auto` or `ensemble`. `check_time` is called between fits and stops the work
        by raising. None when no model fits.
        """
        series = np.asarray(values[-FIT_POINTS:], np.float64)
        if len(series) < 2 * season:
            season = 1
        windows, steps = windows_of(len(series), season, horizon)
        backtest = self.back_test(series, season, (windows, steps), _asked(model), check_time)
        best_first = sorted(backtest.candidates, key=lambda found: (found.mae is None, found.mae or 0.0))
        fitted = []
        for candidate in best_first:
            if candidate.status == "not_tried" or candidate.model == "ensemble":
                continue
            check_time()
            try:
                mean, bounds = _fit(candidate.model, series, season, horizon, levels)
            except CannotFit:
                continue
            if model != "ensemble":
                return Forecast(candidate.model, season, len(series), mean, bounds, backtest)
            fitted.append((mean, bounds))
        if not fitted:
            return None
        means = np.median([mean for mean, _ in fitted], axis=0)
        sides = {level: np.median([bounds[level] for _, bounds in fitted], axis=0) for level in levels}
        bounds = {level: (lower, upper) for level, (lower, upper) in sides.items()}
        return Forecast("ensemble", season, len(series), means, bounds, backtest)

    def usable(self, values: Sequence[float], season: int, windows_and_steps: tuple[int, int]) -> tuple[int, int, int]:
        """The season that can be used, how many of the values are, and how many a back-test needs at least."""
        points, (windows, steps) = min(len(values), FIT_POINTS), windows_and_steps
        if points - windows * steps < 2 * season:
            season = 1
        return season, points, windows * steps + max(season + season // 2, MIN_TRAIN)

    def back_test_latest(
        self,
        values: list[float],
        season: int,
        windows_and_steps: tuple[int, int],
        names: Sequence[ForecastModel],
        check_time: Callable[[], object],
    ) -> BackTest:
        """`back_test` of the values that are used of a series."""
        return self.back_test(
            np.asarray(values[-FIT_POINTS:], np.float64), season, windows_and_steps, names, check_time
        )

    def back_test(
        self,
        series: np.ndarray,
        season: int,
        windows_and_steps: tuple[int, int],
        names: Sequence[ForecastModel],
        check_time: Callable[[], object],
        predict: Predict | None = None,
    ) -> BackTest:
        """How the models did on the last parts of the series; with several, how the median of them did. `predict`
        stands in for `predicted_windows`; whoever sends one bounds what ARIMA takes.
        """
        windows, steps = windows_and_steps
        bounded, predict = predict is None, predict or predicted_windows
        candidates, predictions = [], []
        for name in names:
            too_much = len(series) > ARIMA_POINTS or season > ARIMA_SEASON
            if bounded and len(names) > 1 and name == "arima" and too_much:
                reason = f"auto tries arima up to {ARIMA_POINTS} points and seasons of {ARIMA_SEASON}"
                candidates.append(Candidate(model=name, status="not_tried", reason=reason))
                continue
            predicted = predict(name, series, season, windows_and_steps, check_time)
            if isinstance(predicted, str):
                candidates.append(Candidate(model=name, status="failed", reason=predicted))
                continue
            predictions.append(predicted)
            candidates.append(_judged(name, series, season, predicted))
        if len(predictions) > 1:
            medians = [np.median(parts, axis=0) for parts in zip(*predictions, strict=True)]
            candidates.append(_judged("ensemble", series, season, medians))
        return BackTest(windows=windows, horizon=steps, candidates=candidates)


def _asked(model: str) -> tuple[ForecastModel, ...]:
    return CHEAPEST_FIRST if model in ("auto", "ensemble") else tuple(name for name in CHEAPEST_FIRST if name == model)


def windows_of(points: int, season: int, horizon: int, more_to_fit: int = 0) -> tuple[int, int]:
    """How many parts to hold out, and their length: up to WINDOWS of up to a season or a tenth, whatever leaves
    enough to fit, and `more_to_fit`.
    """
    least = max(season + season // 2, MIN_TRAIN) + more_to_fit
    steps = max(1, min(horizon, max(season, points // 10)))
    for windows in range(WINDOWS, 0, -1):
        if points - windows * steps >= least:
            return windows, steps
    return 1, max(1, points - least)


def predicted_windows(
    name: ForecastModel,
    series: np.ndarray,
    season: int,
    windows_and_steps: tuple[int, int],
    check_time: Callable[[], object],
) -> list[np.ndarray] | str:
    """Of each of the last parts, made from all that lies before it, float64 [3, steps]: forecast, lower and upper bound
    of 80 percent, NaN where there is none; or why there is no forecast.
    """
    windows, steps = windows_and_steps
    found = []
    for window in range(windows, 0, -1):
        check_time()
        train = series[: len(series) - window * steps]
        try:
            mean, bounds = _fit(name, train, season, steps, [COVERAGE_LEVEL], bounds_needed=False)
        except CannotFit as error:
            return str(error)
        found.append(np.stack([mean, *bounds[COVERAGE_LEVEL]]))
    return found


def _judged(
    name: ForecastModel | Literal["ensemble"], series: np.ndarray, season: int, predicted: list[np.ndarray]
) -> Candidate:
    """Errors of forecasts of the last parts of the series."""
    windows, steps = len(predicted), predicted[0].shape[1]
    errors, percentages, scaled, inside = [], [], [], []
    for window, (mean, lower, upper) in zip(range(windows, 0, -1), predicted, strict=True):
        train = series[: len(series) - window * steps]
        actual = series[len(train) : len(train) + steps]
        misses = np.abs(mean - actual)
        size = np.abs(mean) + np.abs(actual)
        errors.append(misses)
        percentages.append(200 * np.divide(misses, size, out=np.zeros(steps), where=size > 0))
        if np.isfinite(lower).all() and np.isfinite(upper).all():
            inside.append((lower <= actual) & (actual <= upper))
        naive = float(np.mean(np.abs(train[season:] - train[:-season])))
        if naive > 0:
            scaled.append(misses / naive)
    return Candidate(
        model=name,
        status="measured",
        mae=float(np.mean(errors)),
        smape=float(np.mean(percentages)),
        mase=float(np.mean(scaled)) if len(scaled) == windows else None,
        rmse=float(np.sqrt(np.mean(np.square(errors)))),
        coverage_80=float(np.mean(inside)) if len(inside) == windows else None,
    )


def _fit(
    name: ForecastModel,
    series: np.ndarray,
    season: int,
    horizon: int,
    levels: list[int],
    bounds_needed: bool = True,
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
    needed = [mean, *(side for pair in bounds.values() for side in pair)] if bounds_needed else [mean]
    if not all(np.isfinite(part).all() for part in needed):
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
