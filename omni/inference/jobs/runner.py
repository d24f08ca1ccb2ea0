"""Works on jobs, a slice at a time: no task runs long, tenants take turns, and whoever dies is taken over from.

A worker claims the next job under a lease, works on it for a slice, and lets go of it or ends it. A claim counts the
job's attempts; a worker whose lease was taken over can no longer write, for its attempt is not the latest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from omni.foundation.db.sessions import Database, SystemSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.inference.jobs import repository
from omni.inference.jobs.repository import ClaimedJob
from omni.inference.jobs.schemas import JobError, Level, State
from omni.inference.jobs.tasks import NOTIFY, RUN
from omni.kit.clock import Clock
from omni.kit.errors import OmniError, Unavailable
from omni.telemetry.inference_metrics import JobMetrics

SLICE_SECONDS = 60.0
LEASE = timedelta(seconds=20)
"""After so long without a word of who works on a job somebody else goes on."""
RENEW_SECONDS = 4.0
TASK_SECONDS = 300
"""No slice may take longer, with what it has begun at its end."""
MOST_TOKENS = 20
MOST_FAILURES = 5
_BROKEN = JobError(code="internal_error", message="Something broke on our side, again and again. Try the job later.")

log = structlog.stdlib.get_logger("omni.jobs")


class LeaseLost(Exception):
    """Somebody else works on the job now: what this worker still wants to write must not be written."""


@dataclass(frozen=True, slots=True)
class Done:
    """The job is over."""

    state: State
    progress: Mapping[str, Any]
    result: Mapping[str, Any] | None = None
    error: JobError | None = None


@dataclass(frozen=True, slots=True)
class More:
    """The slice is over, the job is not. `later`: there is no sense in going on at once."""

    progress: Mapping[str, Any]
    later: bool = False


@dataclass(slots=True)
class Slice:
    """One worker's time with a job."""

    database: Database
    claimed: ClaimedJob
    clock: Clock
    ends_at: float = field(default_factory=lambda: time.monotonic() + SLICE_SECONDS)
    """By the monotonic clock."""

    @property
    def seconds_left(self) -> float:
        return self.ends_at - time.monotonic()

    async def is_cancelled(self) -> bool:
        """Whether somebody has asked for the job's end."""
        async with self.database.read(self.claimed.tenant_id) as session:
            return await repository.is_cancelled(session, self.claimed.job.id)

    async def report(self, progress: Mapping[str, Any]) -> None:
        """Says how far the job has come. Raises LeaseLost."""
        async with self.database.write(self.claimed.tenant_id) as session:
            if not await repository.progressed(session, self.claimed, progress):
                raise LeaseLost

    async def log(self, level: Level, message: str) -> None:
        """Adds a line to the log that the tenant reads."""
        async with self.database.write(self.claimed.tenant_id) as session:
            await repository.log(session, self.claimed.job.id, level, message)


Handler = Callable[[Slice], Awaitable[Done | More]]
"""Works on a job until it is done or the slice is over. It must be able to begin again anywhere. An OmniError that
leaves it fails the job with its public text; Unavailable, and what is none of ours, has it tried again."""


class JobRunner:
    """Runs jobs of every kind that has a handler."""

    def __init__(
        self, database: Database, open_system: Callable[[], AbstractAsyncContextManager[SystemSession]],
        handlers: Mapping[str, Handler], clock: Clock, metrics: JobMetrics,
    ) -> None:  # fmt: skip
        self._database = database
        self._open_system = open_system
        self._handlers = handlers
        self._clock = clock
        self._metrics = metrics

    async def run_next(self) -> bool:
        """Works on the next job for a slice; False when there is none."""
        now = self._clock.now()
        async with self._open_system() as session:
            claimed = await repository.claim_next(session, now, now + LEASE)
        if claimed is None:
            return False
        began, outcome = time.monotonic(), "broken"
        try:
            done = await self._work(claimed)
            await self._settle(claimed, done)
            outcome = done.state if isinstance(done, Done) else "later" if done.later else "more"
        except LeaseLost:
            outcome = "lost"
            log.warning("job_lease_lost", job_id=str(claimed.job.id))
        except Exception as error:
            log.error("job_failed", job_id=str(claimed.job.id), reason=error, exc_info=error)
            await self._count_failure(claimed)
        finally:
            self._metrics.slices.labels(claimed.job.kind, outcome).observe(time.monotonic() - began)
        return True

    async def recover(self) -> int:
        """Has claimable jobs worked on again, whose word was lost with their worker; returns how many there are."""
        async with self._open_system() as session:
            waiting = await repository.count_claimable(session, self._clock.now())
            for _ in range(min(waiting, MOST_TOKENS)):
                await enqueue(session, RUN)
        return waiting

    async def _work(self, claimed: ClaimedJob) -> Done | More:
        job = claimed.job
        handler = self._handlers.get(job.kind)
        if handler is None:
            return Done(
                "failed", job.progress, error=JobError(code="unknown_kind", message=f"No worker does {job.kind}.")
            )
        try:
            return await self._keeping_the_lease(claimed, handler)
        except Unavailable as error:
            log.warning("job_waits", job_id=str(job.id), reason=error.internal or error.message)
            return More(job.progress, later=True)
        except OmniError as error:
            return Done("failed", job.progress, error=JobError(code=error.code, message=error.message))

    async def _keeping_the_lease(self, claimed: ClaimedJob, handler: Handler) -> Done | More:
        """Raises LeaseLost, and stops working, when somebody else has it."""
        working = asyncio.ensure_future(handler(Slice(self._database, claimed, self._clock)))
        renewing = asyncio.create_task(self._renew(claimed))
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise LeaseLost
            return working.result()
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def _renew(self, claimed: ClaimedJob) -> None:
        """Returns when the lease is lost."""
        kept = True
        while kept:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(Unavailable):  # a database that is back before the lease is over changes nothing
                async with self._database.write(claimed.tenant_id) as session:
                    kept = await repository.renew(session, claimed, self._clock.now() + LEASE)

    async def _count_failure(self, claimed: ClaimedJob) -> None:
        now = self._clock.now()
        async with self._database.write(claimed.tenant_id) as session:
            failures = await repository.count_failure(session, claimed, now)
            if failures is not None and failures >= MOST_FAILURES:
                await repository.end(session, claimed, "failed", now, progress=claimed.job.progress, error=_BROKEN)
                await repository.log(session, claimed.job.id, "error", _BROKEN.message)
                await _notify(session, claimed)

    async def _settle(self, claimed: ClaimedJob, outcome: Done | More) -> None:
        now = self._clock.now()
        async with self._database.write(claimed.tenant_id) as session:
            if isinstance(outcome, More):
                kept = await repository.release(session, claimed, outcome.progress, now)
                if kept and not outcome.later:
                    await enqueue(session, RUN)
            else:
                kept = await repository.end(
                    session, claimed, outcome.state, now, progress=outcome.progress, result=outcome.result,
                    error=outcome.error,
                )  # fmt: skip
                if kept and outcome.error is not None:
                    await repository.log(session, claimed.job.id, "error", outcome.error.message)
                if kept:
                    await _notify(session, claimed)
        if not kept:
            raise LeaseLost
        log.info("job_slice", job_id=str(claimed.job.id), kind=claimed.job.kind, outcome=type(outcome).__name__.lower())


async def _notify(session: WriteSession, claimed: ClaimedJob) -> None:
    if claimed.job.webhook_url is not None:
        await enqueue(session, NOTIFY)
