"""Route of the change-point endpoint."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.change_points.schemas import ChangePointRequest, ChangePointResponse
from omni.inference.tabular.change_points.service import ChangePointService


def router(service: ChangePointService, caller: CallerDependency) -> APIRouter:
    """`/v1/series/change-points`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Tabular"])

    @routes.post("/v1/series/change-points", summary="Find changes of a series")
    async def find_change_points(body: ChangePointRequest, call: Call = Depends(caller)) -> ChangePointResponse:
        """Where the level, or level and spread, of a series change; each change with a permutation test."""
        return await service.detect(call, body)

    return routes
