"""What tenants may do with jobs of any kind. What belongs to another tenant is not found."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from omni.foundation.db.sessions import Database, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.inference.jobs import repository
from omni.inference.jobs.errors import job_ended, job_not_ended, job_not_found
from omni.inference.jobs.repository import NewJob
from omni.inference.jobs.schemas import Job, JobList, JobLog, State
from omni.inference.jobs.tasks import RUN
from omni.kit.clock import Clock
from omni.kit.errors import Unprocessable

LIFE = timedelta(hours=24)
RETRYABLE = timedelta(days=6)
"""After its end; later what it would go on from is gone."""


async def submit(session: WriteSession, new: NewJob) -> tuple[Job, bool]:
    """Queues a job, which begins once the transaction has committed; or finds the one that the same request made.

    The job, and whether it is new. Raises Unprocessable `idempotency_key_reused`.
    """
    job, is_new = await repository.add(session, new)
    if is_new:
        await enqueue(session, RUN)
    elif (job.kind, job.input) != (new.kind, dict(new.input)):
        raise Unprocessable(
            "idempotency_key_reused", "This Idempotency-Key was used with another request. Use a new key."
        )
    return job, is_new


class JobService:
    """Looks at jobs, cancels them, has them tried again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list(
        self, tenant_id: UUID, limit: int, cursor: UUID | None, kind: str | None = None, state: State | None = None
    ) -> JobList:
        """One page, newest first."""
        async with self._database.read(tenant_id) as session:
            found = await repository.page(session, limit + 1, cursor, kind, state)
        return JobList(data=found[:limit], next_cursor=found[limit - 1].id if len(found) > limit else None)

    async def get(self, tenant_id: UUID, job_id: UUID) -> Job:
        """Raises NotFound `job_not_found`."""
        async with self._database.read(tenant_id) as session:
            return _found(await repository.find(session, job_id))

    async def log(self, tenant_id: UUID, job_id: UUID, limit: int, cursor: UUID | None) -> JobLog:
        """One page of the job's log. Raises NotFound `job_not_found`."""
        async with self._database.read(tenant_id) as session:
            _found(await repository.find(session, job_id))
            lines = await repository.log_page(session, job_id, limit + 1, cursor)
        return JobLog(data=lines[:limit], next_cursor=lines[limit - 1].id if len(lines) > limit else None)

    async def cancel(self, tenant_id: UUID, job_id: UUID) -> Job:
        """Asks for its end; what it has done by then is kept. Raises NotFound `job_not_found`, Conflict `job_ended`."""
        async with self._database.write(tenant_id) as session:
            job = await repository.request_cancel(session, job_id, self._clock.now())
            if job is None:
                raise job_ended(_found(await repository.find(session, job_id)).state)
            await enqueue(session, RUN)
            return job

    async def retry(self, tenant_id: UUID, job_id: UUID) -> Job:
        """Goes on with a job that did not succeed, within six days. Raises NotFound `job_not_found`, Conflict
        `job_not_retryable`."""
        async with self._database.write(tenant_id) as session:
            now = self._clock.now()
            job = await repository.put_back(session, job_id, now + LIFE, now - RETRYABLE)
            if job is None:
                raise job_not_ended(_found(await repository.find(session, job_id)).state)
            await repository.log(session, job_id, "info", "Queued again.")
            await enqueue(session, RUN)
            return job


def _found(job: Job | None) -> Job:
    if job is None:
        raise job_not_found()
    return job
