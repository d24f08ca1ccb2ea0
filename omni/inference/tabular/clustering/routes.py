"""Route of the clustering endpoint."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.clustering.schemas import ClusterRequest, ClusterResponse
from omni.inference.tabular.clustering.service import ClusteringService


def router(service: ClusteringService, caller: CallerDependency) -> APIRouter:
    """`/v1/tabular/cluster`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Tabular"])

    @routes.post("/v1/tabular/cluster", summary="Group similar rows")
    async def cluster_rows(body: ClusterRequest, call: Call = Depends(caller)) -> ClusterResponse:
        """Groups of similar rows, what each is like and what sets it apart, and how good the grouping is."""
        return await service.cluster(call, body)

    return routes
