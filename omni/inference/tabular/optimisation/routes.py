"""Route of the optimisation endpoint."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.optimisation.schemas import OptimizeRequest, OptimizeResponse
from omni.inference.tabular.optimisation.service import OptimisationService


def router(service: OptimisationService, caller: CallerDependency) -> APIRouter:
    """`/v1/optimize`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Optimization"])

    @routes.post("/v1/optimize", summary="Find the best point of an expression")
    async def optimize(body: OptimizeRequest, call: Call = Depends(caller)) -> OptimizeResponse:
        """The smallest or largest value of an expression within bounds and constraints, by a swarm, differential
        evolution or CMA-ES, with the way there.

        These are heuristics: they prove nothing about what they did not measure.
        """
        return await service.optimise(call, body)

    return routes
