"""Routes of the profiling endpoints."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.profiling.schemas import DriftRequest, DriftResponse, ProfileRequest, ProfileResponse
from omni.inference.tabular.profiling.service import ProfilingService


def router(service: ProfilingService, caller: CallerDependency) -> APIRouter:
    """`/v1/tabular/profile` and `/v1/tabular/drift`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Tabular"])

    @routes.post("/v1/tabular/profile", summary="Profile a table")
    async def profile_rows(body: ProfileRequest, call: Call = Depends(caller)) -> ProfileResponse:
        """What each column holds, and what is wrong with the table, with advice."""
        return await service.profile(call, body)

    @routes.post("/v1/tabular/drift", summary="Compare two samples of a table")
    async def compare_samples(body: DriftRequest, call: Call = Depends(caller)) -> DriftResponse:
        """Whether the columns are distributed as before, by size of the difference and by test."""
        return await service.compare(call, body)

    return routes
