"""A Celery worker: a process of its own below the worker, with prefork children that run the tasks of one queue."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from omni.apps.serving import begin
from omni.apps.settings import Settings
from omni.apps.tracing import create_tracing
from omni.apps.worker.services import all_tasks, open_services, open_tasks
from omni.foundation.db.engine import PoolSettings
from omni.foundation.tasks.celery_app import JOBS_QUEUE, QueueSettings, create_celery
from omni.foundation.tasks.runtime import TaskRuntime, register
from omni.telemetry.metrics import TaskMetrics


def main(queue: str) -> None:
    """Runs until SIGTERM: finishes what it has begun, then ends."""
    settings = Settings()
    registry = begin("tasks", settings)
    app = create_celery(QueueSettings(settings.redis_address()))
    tracing = create_tracing("tasks", settings, registry)
    metrics = TaskMetrics(registry)
    runtime = TaskRuntime(partial(open_tasks, settings, metrics), tracing, metrics)
    register(app, asyncio.run(_task_limits(settings, metrics)), runtime)
    worker = app.Worker(
        queues=[queue],
        concurrency=settings.job_processes if queue == JOBS_QUEUE else settings.worker_processes,
        pool="prefork",
        loglevel=settings.log_level,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        optimization="fair",
    )
    worker.start()


async def _task_limits(settings: Settings, metrics: TaskMetrics) -> dict[str, int | None]:
    async with open_services(settings, "tasks", PoolSettings(size=1, overflow=0)) as services:
        return {task.name: task.time_limit_seconds for task in all_tasks(settings, services, metrics)}


if __name__ == "__main__":
    main(sys.argv[1])
