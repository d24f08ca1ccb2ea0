"""Quotes and begins jobs that compute, and works on a slice of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from omni.contracts.principal import Principal
from omni.foundation.db.sessions import Database
from omni.inference.compute.quoting import VALID, Quotes, check_price, terms_of
from omni.inference.compute.schemas import JobOptions, Quote, SliceOutcome, SliceRequest
from omni.inference.compute.work import ComputeTask, ComputeWork
from omni.inference.jobs import repository
from omni.inference.jobs.errors import job_not_found
from omni.inference.jobs.repository import NewJob
from omni.inference.jobs.runner import Done, More
from omni.inference.jobs.schemas import Job, JobError, JobQuote
from omni.inference.jobs.service import submit
from omni.inference.runtime.call import Call
from omni.kit.clock import Clock
from omni.kit.errors import Conflict, OmniError, Unavailable


class ComputeService:
    """Jobs of the kinds that `works` names."""

    def __init__(self, database: Database, works: Mapping[str, ComputeWork], quotes: Quotes, clock: Clock) -> None:
        self._database = database
        self._works = works
        self._quotes = quotes
        self._clock = clock

    async def quote(self, who: Principal, kind: str, given: BaseModel) -> Quote:
        """What a job of this kind and input would cost at most. Raises what the kind's `bound` raises."""
        row = _row(given)
        quote = JobQuote.of(who.currency, terms_of(who, await self._works[kind].bound(who, row)))
        until = self._clock.now() + VALID
        sealed = self._quotes.seal(who, kind, row, quote, until)
        return Quote(**quote.model_dump(), quote=sealed, expires_at=until)

    async def start(
        self, who: Principal, kind: str, given: BaseModel, options: JobOptions, idempotency_key: str | None
    ) -> tuple[Job, bool]:
        """Queues a job, or finds the one that the same request made; and whether it is new.

        Raises what the kind's `bound` raises, InvalidInput `quote_invalid`, Unprocessable `quote_of_another_job`,
        `price_above_maximum` or `idempotency_key_reused`.
        """
        row, now = _row(given), self._clock.now()
        bound = await self._works[kind].bound(who, row)
        if options.quote is None:
            quote = JobQuote.of(who.currency, terms_of(who, bound))
        else:
            quote = self._quotes.open(who, kind, row, options.quote, now)
        check_price(quote, options.max_price)
        new = NewJob(
            kind, row, who.project_id, who.key_id, who.key_digest, who.storage_bytes_limit,
            now + timedelta(seconds=options.deadline_seconds), options.priority, quote.to_row(), options.webhook_url,
            idempotency_key,
        )  # fmt: skip
        async with self._database.write(who.tenant_id) as session:
            return await submit(session, new)

    async def work(self, call: Call, job_id: UUID, request: SliceRequest) -> SliceOutcome:
        """One slice, for the worker that has the job. What it used is added to the call, unless it failed.

        Raises NotFound `job_not_found`, Conflict `lease_lost`, Unavailable.
        """
        async with self._database.read(call.principal.tenant_id) as session:
            job = await repository.find(session, job_id)
        if job is None or job.kind not in self._works:
            raise job_not_found()
        if job.state != "running" or job.attempts != request.attempt:
            raise Conflict("lease_lost", "Another worker has the job now.")
        task = ComputeTask(call, job, self._database, request.most)
        try:
            outcome = await self._works[job.kind].work(task)
        except Unavailable:
            raise
        except OmniError as error:
            call.usage.training_ms = call.usage.predictions = 0
            outcome = Done("failed", job.progress, error=JobError(code=error.code, message=error.message))
        return _to_api(outcome, call.usage.quantities())


def _row(given: BaseModel) -> dict[str, Any]:
    return given.model_dump(mode="json", exclude_none=True)


def _to_api(outcome: Done | More, used: dict[str, int]) -> SliceOutcome:
    progress = dict(outcome.progress)
    if isinstance(outcome, More):
        return SliceOutcome(state=None, later=outcome.later, progress=progress, result=None, error=None, used=used)
    result = None if outcome.result is None else dict(outcome.result)
    return SliceOutcome(
        state=outcome.state, later=False, progress=progress, result=result, error=outcome.error, used=used
    )
