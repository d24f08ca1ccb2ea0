"""What the tabular endpoints do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.checks import check_rows, check_series
from omni.inference.tabular.regressed import RegressedForecasts, check_told, is_told
from omni.inference.tabular.schemas import (
    Anomaly,
    AnomalyRequest,
    AnomalyResponse,
    AnomalySeries,
    BackTestRequest,
    BackTestResponse,
    Contribution,
    ForecastPoint,
    ForecastRequest,
    ForecastResponse,
    Interval,
    RowMethod,
    Series,
)
from omni.inference.tabular.timestamps import SEASONS, time_of
from omni.kit.errors import InvalidInput, Unprocessable

if TYPE_CHECKING:
    from omni.inference.tabular.forecasting import Forecast, Forecaster
    from omni.inference.tabular.row_anomalies import RowDetector
    from omni.inference.tabular.series_anomalies import SeriesDetector


class TabularService:
    """Forecasts and anomalies."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._forecaster: LazyEngine[Forecaster] = LazyEngine(
            "omni.inference.tabular.forecasting", lambda module: module.Forecaster()
        )
        self._regressed = RegressedForecasts()
        self._series: LazyEngine[SeriesDetector] = LazyEngine(
            "omni.inference.tabular.series_anomalies", lambda module: module.SeriesDetector()
        )
        self._rows: LazyEngine[RowDetector] = LazyEngine(
            "omni.inference.tabular.row_anomalies", lambda module: module.RowDetector()
        )

    async def forecast(self, call: Call, request: ForecastRequest) -> ForecastResponse:
        """Forecasts, their intervals and the back-test.

        Raises InvalidInput `series_too_short`, `value_not_usable` or `start_out_of_range`, what `check_told` and
        RegressedForecasts.forecast raise, Unprocessable `series_not_forecastable` when no model can be fitted.
        """
        series = request.series
        check_series(series.values)
        if series.start is not None:
            time_of(series.start, series.frequency, len(series.values) + request.horizon)
        if told := is_told(request):
            check_told(request)
        levels = sorted(set(request.levels))

        def work() -> tuple[str, Forecast | None, list[str | None] | None]:
            if told:
                return self._regressed.forecast(request, levels, call.seconds_left)
            engine = self._forecaster.get()
            season = SEASONS[series.frequency]
            found = engine.forecast(series.values, season, request.horizon, levels, request.model, call.seconds_left)
            return engine.name, found, None

        engine_name, found, holidays = await self._pool.run(call, "tabular", work)
        if found is None:
            raise Unprocessable(
                "series_not_forecastable", "No model can be fitted to this series. Send more or other values."
            )
        call.usage.model = f"{engine_name}/{found.model}"
        return ForecastResponse(
            model=found.model,
            engine=engine_name,
            season_length=found.season_length,
            fitted_points=found.fitted_points,
            forecast=_points(found, series, holidays),
            backtest=found.backtest,
            effects=list(found.effects),
        )

    async def back_test(self, call: Call, request: BackTestRequest) -> BackTestResponse:
        """How models did on the end of the series.

        Raises InvalidInput `series_too_short` (also when the windows leave too little to fit) or `value_not_usable`,
        and what `check_told` and RegressedForecasts.back_test raise.
        """
        values = request.series.values
        check_series(values)
        if told := is_told(request):
            check_told(request)

        def work() -> BackTestResponse:
            if told:
                return self._regressed.back_test(request, call.seconds_left)
            engine = self._forecaster.get()
            season, windows = SEASONS[request.series.frequency], (request.windows, request.horizon)
            season, points, least = engine.usable(values, season, windows)
            if points < least:
                raise InvalidInput(
                    "series_too_short",
                    f"{request.windows} windows of {request.horizon} steps need {least} values, not {points}. Send "
                    "more, or ask for less.",
                    param="series.values",
                    minimum=least,
                )
            names = list(dict.fromkeys(request.models))
            backtest = engine.back_test_latest(values, season, windows, names, call.seconds_left)
            return BackTestResponse(engine=engine.name, season_length=season, points=points, backtest=backtest)

        response = await self._pool.run(call, "tabular", work)
        call.usage.model = f"{response.engine}/backtest"
        return response

    async def detect(self, call: Call, request: AnomalyRequest) -> AnomalyResponse:
        """Scores and flags of a series' values or of rows.

        Raises InvalidInput `series_or_rows` unless exactly one is given, `series_too_short`, `too_few_rows`,
        `too_many_values`, `rows_differ_in_length` or `value_not_usable`.
        """
        if (request.series is None) == (request.rows is None):
            raise InvalidInput("series_or_rows", "Send either `series` or `rows`.", param="series")
        if request.series is not None:
            response = await self._detect_in_series(call, request.series, request.threshold)
        else:
            response = await self._detect_in_rows(call, request.rows or [], request.method, request.contamination)
        call.usage.model = f"{response.engine}/{response.method}"
        return response

    async def _detect_in_series(self, call: Call, series: AnomalySeries, threshold: float) -> AnomalyResponse:
        check_series(series.values)
        if series.period is not None and len(series.values) < 2 * series.period:
            raise InvalidInput(
                "series_too_short",
                f"Two periods are {2 * series.period} values; there are {len(series.values)}. Send more, or no period.",
                param="series.values",
                minimum=2 * series.period,
            )

        def work() -> AnomalyResponse:
            engine = self._series.get()
            found = engine.score(series.values, series.period)
            flags = found.scores > threshold
            anomalies = [
                Anomaly(index=i, score=found.scores[i], value=series.values[i], expected=found.expected[i])
                for i in sorted(flags.nonzero()[0].tolist(), key=lambda i: -float(found.scores[i]))
            ]
            return AnomalyResponse(
                method=found.method,
                engine=engine.name,
                threshold=threshold,
                scores=found.scores.tolist(),
                flags=flags.tolist(),
                anomalies=anomalies,
            )

        return await self._pool.run(call, "tabular", work)

    async def _detect_in_rows(
        self, call: Call, rows: list[list[float]], method: RowMethod, contamination: float
    ) -> AnomalyResponse:
        check_rows(rows)

        def work() -> AnomalyResponse:
            engine = self._rows.get()
            found = engine.score(rows, method, contamination, call.seconds_left)
            flags = found.scores > found.threshold
            parts = found.contributions
            anomalies = [
                Anomaly(
                    index=i,
                    score=found.scores[i],
                    contributions=None if parts is None else _contributions(parts[i].tolist()),
                )
                for i in sorted(flags.nonzero()[0].tolist(), key=lambda i: -float(found.scores[i]))
            ]
            return AnomalyResponse.model_validate(
                {
                    "method": method,
                    "engine": engine.name,
                    "threshold": found.threshold,
                    "scores": found.scores.tolist(),
                    "flags": flags.tolist(),
                    "anomalies": anomalies,
                }
            )

        return await self._pool.run(call, "tabular", work)


def _points(found: Forecast, series: Series, holidays: list[str | None] | None) -> list[ForecastPoint]:
    start, steps_before = series.start, len(series.values) - 1
    return [
        ForecastPoint(
            step=index + 1,
            time=None if start is None else time_of(start, series.frequency, steps_before + index + 1),
            mean=mean,
            intervals=[
                Interval(level=level, lower=lower[index], upper=upper[index])
                for level, (lower, upper) in found.bounds.items()
            ],
            holiday=None if holidays is None else holidays[index],
        )
        for index, mean in enumerate(found.mean.tolist())
    ]


def _contributions(scores: list[float]) -> list[Contribution]:
    ordered = sorted(enumerate(scores), key=lambda pair: -pair[1])
    return [Contribution(feature=feature, score=score) for feature, score in ordered]
