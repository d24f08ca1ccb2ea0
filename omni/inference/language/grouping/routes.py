"""Routes of near-duplicates and clusters."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.grouping.schemas import (
    ClusterRequest,
    ClusterResponse,
    DuplicatesRequest,
    DuplicatesResponse,
)
from omni.inference.language.grouping.service import GroupingService
from omni.inference.runtime.call import Call


def router(service: GroupingService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/duplicates` and `/v1/text/cluster`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/duplicates", summary="Find near-duplicates")
    async def find_duplicates(body: DuplicatesRequest, call: Call = Depends(caller)) -> DuplicatesResponse:
        """Groups of texts that are nearly the same, by their words or by their meaning.

        By words, MinHash finds candidates and their exact similarity decides: what is reported is right; a pair just
        above the threshold is missed in one of a hundred cases at most.
        """
        return await service.duplicates(call, body)

    @routes.post("/v1/text/cluster", summary="Cluster texts")
    async def cluster_texts(body: ClusterRequest, call: Call = Depends(caller)) -> ClusterResponse:
        """Texts grouped by meaning, each cluster with the words that tell it from the others and its most central text.

        The same texts always give the same clusters.
        """
        return await service.cluster(call, body)

    return routes
