"""Route of comparing two texts."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.comparison.schemas import CompareRequest, CompareResponse
from omni.inference.language.comparison.service import ComparisonService
from omni.inference.runtime.call import Call


def router(service: ComparisonService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/compare`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/compare", summary="Compare two versions of a text")
    async def compare_versions(body: CompareRequest, call: Call = Depends(caller)) -> CompareResponse:
        """What changed from one text to another, sentence by sentence: unchanged, moved, reworded, added, removed.

        Sentences are paired by meaning, and reworded ones whose numbers or negations changed are marked: vectors hardly
        see those. It shows where to look; it does not judge whether two sentences mean the same.
        """
        return await service.compare(call, body)

    return routes
