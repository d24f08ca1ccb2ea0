"""Routes of deployments."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Response

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.deployments.answering import DeploymentAnswering
from omni.inference.deployments.reporting import Reporting
from omni.inference.deployments.schemas import (
    Deployment,
    DeploymentChange,
    DeploymentList,
    DeploymentPredictRequest,
    DeploymentPredictResponse,
    DeploymentRequest,
    Feedback,
    FeedbackRequest,
    Report,
)
from omni.inference.deployments.service import DeploymentService
from omni.inference.runtime.call import Call

Name = Annotated[str, Path(max_length=100, description="The deployment's name or id.")]


def router(
    service: DeploymentService, answering: DeploymentAnswering, reporting: Reporting, caller: CallerDependency
) -> APIRouter:
    """Everything below `/v1/deployments`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Deployments"], prefix="/v1/deployments")
    _deployments(routes, service, caller)
    _answers(routes, answering, reporting, caller)
    return routes


def _deployments(routes: APIRouter, service: DeploymentService, caller: CallerDependency) -> None:
    @routes.post("", summary="Create a deployment", status_code=201)
    async def create_deployment(body: DeploymentRequest, call: Call = Depends(caller)) -> Deployment:
        """Versions of one model that share its users by weight, a canary that takes over step by step, and a shadow
        whose answers are only compared.
        """
        return await service.create(call.principal.tenant_id, body)

    @routes.get("", summary="List deployments")
    async def list_deployments(
        limit: Annotated[int, Query(ge=1, le=100, description="Most entries of a page.")] = 20,
        cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
        call: Call = Depends(caller),
    ) -> DeploymentList:
        """Your deployments, newest first, without their history."""
        return await service.list(call.principal.tenant_id, limit, cursor)

    @routes.get("/{deployment}", summary="Look up a deployment")
    async def get_deployment(deployment: Name, call: Call = Depends(caller)) -> Deployment:
        """Who answers whom, how far the canary is, and what happened before."""
        return await service.get(call.principal.tenant_id, deployment)

    @routes.patch("/{deployment}", summary="Change a deployment")
    async def change_deployment(deployment: Name, body: DeploymentChange, call: Call = Depends(caller)) -> Deployment:
        """Other versions or weights, another canary (from its first step on) or shadow; null ends these two."""
        return await service.change(call.principal.tenant_id, deployment, body)

    @routes.delete("/{deployment}", summary="Delete a deployment", status_code=204)
    async def delete_deployment(deployment: Name, call: Call = Depends(caller)) -> None:
        """With its history and all that was counted. The model and its versions stay."""
        await service.delete(call.principal.tenant_id, deployment)


def _answers(routes: APIRouter, answering: DeploymentAnswering, reporting: Reporting, caller: CallerDependency) -> None:
    @routes.post(
        "/{deployment}/predict",
        summary="Ask a deployment",
        responses={200: {"model": DeploymentPredictResponse}},
        response_model=None,
    )
    async def predict(
        deployment: Name, body: DeploymentPredictRequest, later: BackgroundTasks, call: Call = Depends(caller)
    ) -> Response:
        """The answer of the version that `user` is assigned to. Only this version's work is charged: a shadow is asked
        after the answer is sent, at the platform's expense.
        """
        answer, shadow = await answering.predict(call, deployment, body)
        later.add_task(shadow)
        return Response(orjson.dumps(answer), media_type="application/json", background=later)

    @routes.post("/{deployment}/feedback", summary="Say how good an answer was")
    async def give_feedback(deployment: Name, body: FeedbackRequest, call: Call = Depends(caller)) -> Feedback:
        """A score for one prediction, once; higher is better. It counts for the version that answered."""
        return await answering.feedback(call.principal.tenant_id, deployment, body)

    @routes.get("/{deployment}/report", summary="Compare a deployment's versions")
    async def get_report(
        deployment: Name,
        hours: Annotated[int, Query(ge=1, le=2_160, description="How far back; whole minutes count.")] = 24,
        call: Call = Depends(caller),
    ) -> Report:
        """Requests, errors, latency and scores by version, and whether scores differ significantly. Figures are a
        second old at most.
        """
        return await reporting.report(call, deployment, hours)
