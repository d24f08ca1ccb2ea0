"""Batches of the calling tenant: jobs of one kind, in OpenAI's shape."""

from __future__ import annotations

from uuid import UUID

from omni.contracts.principal import Principal
from omni.foundation.db.sessions import Database
from omni.inference.batches.lines import MOST_BYTES
from omni.inference.batches.schemas import KIND, PREFIX, Batch, BatchList, BatchRequest, to_api_batch
from omni.inference.files.service import FileService, require_size
from omni.inference.jobs import repository
from omni.inference.jobs.repository import NewJob
from omni.inference.jobs.service import LIFE, JobService, submit
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput, NotFound
from omni.kit.ids import from_prefixed_id


class BatchService:
    """Creates batches, shows and cancels them."""

    def __init__(self, database: Database, files: FileService, jobs: JobService, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._jobs = jobs
        self._clock = clock

    async def create(self, who: Principal, request: BatchRequest, idempotency_key: str | None) -> tuple[Batch, bool]:
        """Queues a batch, whose file is read when it begins; or finds the one that the same request made.

        The batch, and whether it is new. Raises NotFound `file_not_found`, TooLarge `file_too_large`, InvalidInput,
        Unprocessable `idempotency_key_reused`.
        """
        file = await self._files.get(who.tenant_id, request.input_file_id)
        if file.purpose != "batch":
            raise InvalidInput("wrong_file_purpose", "Upload the file with the purpose `batch`.", param="input_file_id")
        require_size(file, MOST_BYTES)
        new = NewJob(
            KIND, request.model_dump(exclude_none=True), who.project_id, who.key_id, who.key_digest,
            who.storage_bytes_limit, self._clock.now() + LIFE, idempotency_key=idempotency_key,
        )  # fmt: skip
        async with self._database.write(who.tenant_id) as session:
            job, is_new = await submit(session, new)
        return to_api_batch(job), is_new

    async def list(self, tenant_id: UUID, limit: int, after: str | None) -> BatchList:
        """One page, newest first. Raises NotFound when `after` is no batch's id."""
        page = await self._jobs.list(tenant_id, limit, None if after is None else _id(after), KIND)
        found = [to_api_batch(job) for job in page.data]
        return BatchList(
            data=found,
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=page.next_cursor is not None,
        )

    async def get(self, tenant_id: UUID, batch_id: str) -> Batch:
        """Raises NotFound `batch_not_found`."""
        async with self._database.read(tenant_id) as session:
            job = await repository.find(session, _id(batch_id), KIND)
        if job is None:
            raise batch_not_found()
        return to_api_batch(job)

    async def cancel(self, tenant_id: UUID, batch_id: str) -> Batch:
        """Raises NotFound `batch_not_found`, Conflict `job_ended`."""
        await self.get(tenant_id, batch_id)
        return to_api_batch(await self._jobs.cancel(tenant_id, _id(batch_id)))


def batch_not_found() -> NotFound:
    """Missing, or another tenant's: the two answer alike."""
    return NotFound("batch_not_found", "There is no such batch. List yours with GET /v1/batches.", param="batch_id")


def _id(value: str) -> UUID:
    found = from_prefixed_id(PREFIX, value)
    if found is None:
        raise batch_not_found()
    return found
