"""`omni serve worker`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import structlog
import uvloop
from prometheus_client.multiprocess import MultiProcessCollector

from omni.apps.database import pool_settings
from omni.apps.health import HealthMonitor
from omni.apps.serving import begin, serve_metrics, until_stopped
from omni.apps.settings import Settings
from omni.apps.worker.pump import Pump
from omni.apps.worker.services import Services, open_services
from omni.foundation.tasks.celery_app import JOBS_QUEUE, QUEUE, QueueSettings, TaskQueue, create_celery
from omni.kit.errors import Unavailable
from omni.telemetry.metrics import DatabaseMetrics, HealthMetrics, PlatformMetrics, WorkerMetrics

FAILED_STOP_SECONDS = 5.0
"""How long a task worker may take to end when the other one died. What it had begun is delivered again."""

log = structlog.stdlib.get_logger("omni.worker")


def main() -> None:
    """Runs until SIGTERM; ends with an error when one of its task workers ends by itself."""
    settings = Settings()
    uvloop.run(until_stopped(lambda stop: _run(settings, stop)))


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    registry = begin("worker", settings)
    metrics = WorkerMetrics(registry)
    async with open_services(settings, "worker", pool_settings(settings), DatabaseMetrics(registry)) as services:
        figures = _metrics_folder(settings.home)
        workers = {queue: await _start_task_worker(figures, queue) for queue in (QUEUE, JOBS_QUEUE)}
        MultiProcessCollector(registry, path=str(figures))  # type: ignore[no-untyped-call]
        monitor = HealthMonitor(
            {
                "database": services.database.ping,
                "redis": lambda: _ping(services),
                "tasks": lambda: _alive(workers[QUEUE]),
                "jobs": lambda: _alive(workers[JOBS_QUEUE]),
            }
        )
        HealthMetrics(monitor.dependencies, registry)
        await monitor.check_now()
        server = serve_metrics(settings.metrics_host, settings.metrics_port, registry, monitor.health)
        checking = asyncio.create_task(monitor.run())
        queue = TaskQueue(create_celery(QueueSettings(settings.redis_address())))
        pumping = asyncio.create_task(Pump(services, queue, metrics, PlatformMetrics(registry)).run(stop))
        ended = [asyncio.create_task(tasks.wait()) for tasks in workers.values()]
        await asyncio.wait({pumping, *ended}, return_when=asyncio.FIRST_COMPLETED)
        monitor.stopping()
        failed = not stop.is_set()
        stop.set()
        for tasks in workers.values():
            with suppress(ProcessLookupError):
                tasks.send_signal(signal.SIGTERM)
        await asyncio.gather(pumping, return_exceptions=True)
        await asyncio.wait(ended, timeout=FAILED_STOP_SECONDS if failed else settings.drain_seconds)
        for tasks in workers.values():
            with suppress(ProcessLookupError):
                tasks.kill()
        await asyncio.gather(*ended)
        checking.cancel()
        queue.close()
        server.shutdown()
        shutil.rmtree(figures, ignore_errors=True)
    if failed:
        log.error("task_worker_ended", codes=[tasks.returncode for tasks in workers.values()])
        sys.exit(1)


def _metrics_folder(home: Path) -> Path:
    """An empty folder into which the task worker's children write their metrics."""
    folder = home / "metrics" / f"tasks-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


async def _start_task_worker(figures: Path, queue: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(figures)}
    command = (sys.executable, "-m", "omni.apps.worker.task_worker", queue)
    return await asyncio.create_subprocess_exec(*command, env=environment)


async def _ping(services: Services) -> None:
    await services.redis.ping()


async def _alive(tasks: asyncio.subprocess.Process) -> None:
    if tasks.returncode is not None:
        raise Unavailable("task_worker_ended", f"The task worker ended with code {tasks.returncode}.")
