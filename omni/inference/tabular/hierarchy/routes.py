"""Route of hierarchical forecasts."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.hierarchy.schemas import HierarchicalRequest, HierarchicalResponse
from omni.inference.tabular.hierarchy.service import HierarchyService


def router(service: HierarchyService, caller: CallerDependency) -> APIRouter:
    """`/v1/forecasts/hierarchical`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Tabular"])

    @routes.post("/v1/forecasts/hierarchical", summary="Forecast series and their totals")
    async def forecast_hierarchy(body: HierarchicalRequest, call: Call = Depends(caller)) -> HierarchicalResponse:
        """Forecasts of series and of totals over them that add up."""
        return await service.forecast(call, body)

    return routes
