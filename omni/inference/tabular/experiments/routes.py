"""Routes of the experiment endpoints."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.tabular.experiments.schemas import (
    ABTestRequest,
    ABTestResponse,
    SampleSizeRequest,
    SampleSizeResponse,
)
from omni.inference.tabular.experiments.service import ExperimentService


def router(service: ExperimentService, caller: CallerDependency) -> APIRouter:
    """`/v1/experiments/…`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Experiments"])

    @routes.post("/v1/experiments/ab-test", summary="Analyse an experiment")
    async def analyse_experiment(body: ABTestRequest, call: Call = Depends(caller)) -> ABTestResponse:
        """Differences of proportions or means against the control, with intervals, tests and their correction; on
        request whether the split is the planned one, statistics that stay valid at every look, and the probability of
        being the best.
        """
        return await service.analyse(call, body)

    @routes.post("/v1/experiments/sample-size", summary="Plan an experiment")
    async def plan_experiment(body: SampleSizeRequest, call: Call = Depends(caller)) -> SampleSizeResponse:
        """How many units each variant needs, so that an effect is found with the power asked for."""
        return await service.plan(call, body)

    return routes
