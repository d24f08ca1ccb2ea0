"""Routes of the tabular endpoints."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.schemas import (
    AnomalyRequest,
    AnomalyResponse,
    BackTestRequest,
    BackTestResponse,
    ForecastRequest,
    ForecastResponse,
)
from omni.inference.tabular.service import TabularService


def router(service: TabularService, caller: CallerDependency) -> APIRouter:
    """`/v1/forecasts`, `/v1/forecasts/backtest` and `/v1/anomalies/detect`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Tabular"])

    @routes.post("/v1/forecasts", summary="Forecast a series")
    async def create_forecast(body: ForecastRequest, call: Call = Depends(caller)) -> ForecastResponse:
        """Forecasts with prediction intervals, and how well each model forecast the end of the series from what came
        before.

        `auto` takes the model with the smallest mean absolute error in that back-test.
        """
        return await service.forecast(call, body)

    @routes.post("/v1/forecasts/backtest", summary="Measure forecasts on the past")
    async def back_test_forecasts(body: BackTestRequest, call: Call = Depends(caller)) -> BackTestResponse:
        """How well models, and the median of them, would have forecast the end of the series: errors and how many
        values fell inside the intervals.
        """
        return await service.back_test(call, body)

    @routes.post("/v1/anomalies/detect", summary="Find anomalies")
    async def detect_anomalies(body: AnomalyRequest, call: Call = Depends(caller)) -> AnomalyResponse:
        """Anomalies of a series (against its trend and season) or among rows (against all other rows), with reasons."""
        return await service.detect(call, body)

    return routes
