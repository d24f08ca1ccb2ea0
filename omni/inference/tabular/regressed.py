"""Forecasts and back-tests that are told holidays and regressors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from omni.inference.runtime.lazy import LazyEngine
from omni.inference.tabular.checks import check_numbers
from omni.inference.tabular.schemas import BackTestRequest, BackTestResponse, ForecastRequest
from omni.inference.tabular.timestamps import SEASONS, time_of
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.tabular.calendars import Calendars
    from omni.inference.tabular.forecasting import Forecast
    from omni.inference.tabular.regression import Columns, RegressionForecaster


class RegressedForecasts:
    """Builds the columns of a request and asks the engine. Its methods run on threads of the pool."""

    def __init__(self) -> None:
        self._engine: LazyEngine[RegressionForecaster] = LazyEngine(
            "omni.inference.tabular.regression", lambda module: module.RegressionForecaster()
        )
        self._columns: LazyEngine[Callable[..., Columns]] = LazyEngine(
            "omni.inference.tabular.regression", lambda module: module.columns_of
        )
        self._calendars: LazyEngine[Calendars] = LazyEngine(
            "omni.inference.tabular.calendars", lambda module: module.Calendars()
        )

    def forecast(
        self, request: ForecastRequest, levels: list[int], check_time: Callable[[], object]
    ) -> tuple[str, Forecast | None, list[str | None] | None]:
        """The engine's name, its forecast, and the holiday of each step where the request has a calendar.

        Raises InvalidInput `unknown_country`, `unknown_subdivision`, `holidays_not_known` or `series_too_short`.
        """
        engine, values = self._engine.get(), request.series.values
        columns = self._told(request, len(values) + request.horizon)
        season, least = engine.least(len(values), SEASONS[request.series.frequency], 1, len(columns.names))
        if len(values) < least:
            raise _too_short(f"{len(columns.names)} columns of holidays and regressors", least, len(values))
        found = engine.forecast(values, columns, season, request.horizon, levels, check_time)
        return engine.name, found, None if columns.holidays is None else columns.holidays[len(values) :]

    def back_test(self, request: BackTestRequest, check_time: Callable[[], object]) -> BackTestResponse:
        """How the models did; `arima` is told the columns, the others go without. Raises InvalidInput as `forecast`."""
        engine, values = self._engine.get(), request.series.values
        columns = self._told(request, len(values))
        points, windows = engine.usable(values), (request.windows, request.horizon)
        held_out = request.windows * request.horizon
        season, least = engine.least(points, SEASONS[request.series.frequency], held_out, len(columns.names))
        if points < least:
            asked = f"{request.windows} windows of {request.horizon} steps with {len(columns.names)} columns"
            raise _too_short(asked, least, points)
        names = list(dict.fromkeys(request.models))
        backtest = engine.back_test(values, columns, season, windows, names, check_time)
        return BackTestResponse(engine=engine.name, season_length=season, points=points, backtest=backtest)

    def _told(self, request: ForecastRequest | BackTestRequest, points: int) -> Columns:
        series, calendar = request.series, request.holidays
        past = {name: regressor.past for name, regressor in request.regressors.items()}
        if isinstance(request, ForecastRequest):
            past = {name: past[name] + regressor.future for name, regressor in request.regressors.items()}
        names: list[str | None] | None = None
        if calendar is not None and series.start is not None:
            days = [time_of(series.start, "daily", step).date() for step in range(points)]
            names = self._calendars.get().names(calendar, days)
            past[f"holidays:{calendar.place()}"] = [float(name is not None) for name in names]
        return self._columns.get()(past, names)


def is_told(request: ForecastRequest | BackTestRequest) -> bool:
    """Whether the request has holidays or regressors."""
    return request.holidays is not None or bool(request.regressors)


def check_told(request: ForecastRequest | BackTestRequest) -> None:
    """Raises InvalidInput `model_takes_no_regressors`, `holidays_need_days`, `regressor_length_differs` or
    `value_not_usable`.
    """
    ahead = isinstance(request, ForecastRequest)
    models = (request.model,) if isinstance(request, ForecastRequest) else tuple(request.models)
    if not {"auto", "arima"} & set(models):
        raise InvalidInput(
            "model_takes_no_regressors",
            f"Of {', '.join(models)} none takes holidays or regressors. Ask for arima.",
            param="model" if ahead else "models",
        )
    series = request.series
    if request.holidays is not None and (series.frequency != "daily" or series.start is None):
        raise InvalidInput(
            "holidays_need_days",
            "Holidays are days: send a series with the frequency `daily` and its `start`.",
            param="holidays",
        )
    for name, regressor in request.regressors.items():
        _check_numbers(f"regressors.{name}.past", regressor.past, len(series.values))
    if isinstance(request, ForecastRequest):
        for name, planned in request.regressors.items():
            _check_numbers(f"regressors.{name}.future", planned.future, request.horizon)


def _check_numbers(param: str, numbers: list[float], length: int) -> None:
    if len(numbers) != length:
        raise InvalidInput(
            "regressor_length_differs",
            f"{param} has {len(numbers)} numbers; send {length}.",
            param=param,
            length=length,
        )
    check_numbers(numbers, param)


def _too_short(asked: str, least: int, points: int) -> InvalidInput:
    return InvalidInput(
        "series_too_short",
        f"{asked} need {least} values, not {points}. Send more, or ask for less.",
        param="series.values",
        minimum=least,
    )
