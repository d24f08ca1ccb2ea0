"""Routes of jobs that compute."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.compute.schemas import Quote, SliceOutcome, SliceRequest, StartedJob
from omni.inference.compute.service import ComputeService
from omni.inference.fields import NO_NUL
from omni.inference.jobs.webhooks import job_secret
from omni.inference.runtime.call import Call
from omni.inference.starting.kinds import NewJobBody, QuotedBody


def router(service: ComputeService, webhook_key: bytes, caller: CallerDependency) -> APIRouter:
    """What is posted to `/v1/quotes` and `/v1/jobs`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Jobs"], prefix="/v1")

    @routes.post("/quotes", summary="Quote a job")
    async def quote_job(body: QuotedBody, call: Call = Depends(caller)) -> Quote:
        """What a job would cost at most. Sent along with the job within a day, the quote holds whatever prices become;
        what the job does not use it does not pay."""
        return await service.quote(call.principal, body.kind, body.input)

    @routes.post("/jobs", status_code=201, summary="Start a job")
    async def start_job(
        body: NewJobBody,
        response: Response,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=NO_NUL)] = None,
        call: Call = Depends(caller),
    ) -> StartedJob:
        """Queues a job. It is charged in parts as it works, never beyond its quote, and ends when the budget or credit
        of its key does not cover the rest. Sent again with the same `Idempotency-Key` it is the same job."""
        job, is_new = await service.start(call.principal, body.kind, body.input, body, idempotency_key)
        if not is_new:
            response.headers["Idempotency-Replayed"] = "true"
        secret = None if job.webhook_url is None else job_secret(webhook_key, job.id)
        return StartedJob(**dict(job), webhook_secret=secret)

    @routes.post("/jobs/{job_id}/slices", include_in_schema=False)
    async def work_on_job(job_id: UUID, body: SliceRequest, call: Call = Depends(caller)) -> SliceOutcome:
        """A slice of a job, for the worker that has it."""
        return await service.work(call, job_id, body)

    return routes
