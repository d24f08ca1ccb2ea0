"""What slices leave in the object store for the next one, and who forgets it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from omni.foundation.objects import ObjectStore
from omni.inference.jobs.schemas import Job

KEPT, PARTS = "kept", "parts"
"""Where progress names them."""


def kept_name(job_id: UUID, name: str) -> str:
    """Of what a training keeps."""
    return f"jobs/{job_id.hex}/{name}"


def part_name(job_id: UUID, start: int) -> str:
    """Of the predictions of the rows from `start` on."""
    return f"jobs/{job_id.hex}/part-{start:010d}"


async def forget(
    objects: ObjectStore, tenant_id: UUID, job_id: UUID, kept: Iterable[str], parts: Iterable[int]
) -> None:
    """Deletes them; what is not there is no error."""
    for name in [*(kept_name(job_id, each) for each in kept), *(part_name(job_id, each) for each in parts)]:
        await objects.delete(tenant_id, name)


async def forget_ended(objects: ObjectStore, tenant_id: UUID, job: Job) -> None:
    """For whoever ends a job between its slices (cancelled, expired, refused): its kind is not asked any more."""
    await forget(objects, tenant_id, job.id, job.progress.get(KEPT, ()), job.progress.get(PARTS, ()))
