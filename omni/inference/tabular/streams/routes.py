"""Route of streaming anomaly detection."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.streams.schemas import StreamRequest, StreamResponse
from omni.inference.tabular.streams.service import StreamService


def router(service: StreamService, caller: CallerDependency) -> APIRouter:
    """`/v1/anomalies/stream`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Tabular"])

    @routes.post("/v1/anomalies/stream", summary="Find anomalies point by point")
    async def judge_points(body: StreamRequest, call: Call = Depends(caller)) -> StreamResponse:
        """Judges new points of a series by what came before. The state travels with the requests: send back what the
        last answer gave. A point that is sent again gets the same answer and changes nothing.
        """
        return await service.judge(call, body)

    return routes
