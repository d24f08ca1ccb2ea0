"""Routes of the job endpoints."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.jobs.schemas import Job, JobList, JobLog, State
from omni.inference.jobs.service import JobService
from omni.inference.runtime.call import Call

Limit = Annotated[int, Query(ge=1, le=100, description="Most entries of a page.")]
Cursor = Annotated[UUID | None, Query(description="`next_cursor` of the page before.")]


def router(service: JobService, caller: CallerDependency) -> APIRouter:
    """Everything below `/v1/jobs`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Jobs"], prefix="/v1/jobs")

    @routes.get("", summary="List jobs")
    async def list_jobs(
        limit: Limit = 20,
        cursor: Cursor = None,
        kind: Annotated[
            str | None, Query(max_length=30, pattern="^[a-z_]*$", description="Only jobs of this kind.")
        ] = None,
        state: Annotated[State | None, Query(description="Only jobs in this state.")] = None,
        call: Call = Depends(caller),
    ) -> JobList:
        """Your jobs of all kinds, newest first."""
        return await service.list(call.principal.tenant_id, limit, cursor, kind, state)

    @routes.get("/{job_id}", summary="Look up a job")
    async def get_job(job_id: UUID, call: Call = Depends(caller)) -> Job:
        """One job: how far it is, what it made, why it failed."""
        return await service.get(call.principal.tenant_id, job_id)

    @routes.get("/{job_id}/log", summary="Read a job's log")
    async def get_log(job_id: UUID, limit: Limit = 100, cursor: Cursor = None, call: Call = Depends(caller)) -> JobLog:
        """What happened to a job, oldest first."""
        return await service.log(call.principal.tenant_id, job_id, limit, cursor)

    @routes.post("/{job_id}/cancel", summary="Cancel a job")
    async def cancel_job(job_id: UUID, call: Call = Depends(caller)) -> Job:
        """Asks for the end of a job. What it has done by then is kept, and charged."""
        return await service.cancel(call.principal.tenant_id, job_id)

    @routes.post("/{job_id}/retry", summary="Try a job again")
    async def retry_job(job_id: UUID, call: Call = Depends(caller)) -> Job:
        """Goes on with a job that failed, expired or was cancelled, within six days; what is done is not done again."""
        return await service.retry(call.principal.tenant_id, job_id)

    return routes
