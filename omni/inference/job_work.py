"""What workers do for jobs, put together without the endpoints, which a worker has no use for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from omni.foundation.db.sessions import Database, SystemSession
from omni.foundation.objects import ObjectStore
from omni.inference.automl.leftovers import KEPT, PARTS, forget_ended
from omni.inference.automl.schemas import KIND as AUTOML
from omni.inference.automl.schemas import PREDICTIONS_KIND as PREDICTIONS
from omni.inference.batches.repository import forget_old as forget_old_answers
from omni.inference.batches.schemas import KIND as BATCH
from omni.inference.batches.working import OUTPUT_LIFE, BatchWorker
from omni.inference.calling import Calls
from omni.inference.compute.worker import ComputeWorker
from omni.inference.deployments.repository import forget_old as forget_old_counts
from omni.inference.files.service import FileService
from omni.inference.jobs.repository import QueueFigures, queue_figures, with_leftovers, without_leftovers
from omni.inference.jobs.runner import Handler, JobRunner
from omni.kit.clock import Clock
from omni.telemetry.inference_metrics import JobMetrics

COUNTS_LIFE = timedelta(days=90)
"""How long the minutes of deployments and the feedback on them are kept."""
JOB_KINDS = (BATCH, AUTOML, PREDICTIONS)
LEFTOVERS = (KEPT, PARTS)
LEFTOVERS_LIFE = timedelta(days=7)
"""How long a job that was cancelled or failed can go on where it was."""
LEFTOVERS_AT_ONCE = 100

OpenSystemSession = Callable[[], AbstractAsyncContextManager[SystemSession]]


def job_runner(
    database: Database, open_system: OpenSystemSession, objects: ObjectStore, calls: Calls, clock: Clock,
    metrics: JobMetrics,
) -> JobRunner:  # fmt: skip
    """What a worker works on jobs with."""
    compute = ComputeWorker(calls)
    handlers: dict[str, Handler] = {
        BATCH: BatchWorker(FileService(database, objects), calls), AUTOML: compute, PREDICTIONS: compute,
    }  # fmt: skip
    return JobRunner(database, open_system, handlers, clock, metrics)


async def job_queues(session: SystemSession, now: datetime) -> dict[str, QueueFigures]:
    """How many jobs of each kind wait and are worked on."""
    return dict.fromkeys(JOB_KINDS, QueueFigures()) | await queue_figures(session, now)


async def forget_old_jobs(
    database: Database, open_system: OpenSystemSession, objects: ObjectStore, now: datetime
) -> None:
    """Deletes files whose time is over, what jobs that ended long ago still keep, and old counts of deployments."""
    await FileService(database, objects).forget_expired(open_system, now)
    async with open_system() as session:
        await forget_old_answers(session, now - OUTPUT_LIFE)
        await forget_old_counts(session, now - COUNTS_LIFE)
        for tenant_id, job in await with_leftovers(session, LEFTOVERS, now - LEFTOVERS_LIFE, LEFTOVERS_AT_ONCE):
            await forget_ended(objects, tenant_id, job)
            await without_leftovers(session, tenant_id, job.id, LEFTOVERS)
