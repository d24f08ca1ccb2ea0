"""Runs task bodies inside a worker child: one event loop and one set of services per process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from celery.app.task import Task as CeleryTask
from celery.signals import worker_process_init, worker_process_shutdown

from omni.foundation.outbox.relay import Message
from omni.foundation.tasks.celery_app import MAX_ATTEMPTS
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.errors import OmniError
from omni.telemetry.metrics import TaskMetrics
from omni.telemetry.traces import Tracing

Bury = Callable[[Message, str, int], Coroutine[Any, Any, None]]
OpenTasks = Callable[[], AbstractAsyncContextManager[tuple[Sequence[Task], Bury]]]

log = structlog.stdlib.get_logger("omni.tasks")


class TaskRuntime:
    """Opens the services of a worker child at its start and runs each delivery on its loop."""

    def __init__(self, open_tasks: OpenTasks, tracing: Tracing, metrics: TaskMetrics) -> None:
        self._open_tasks = open_tasks
        self._tracing = tracing
        self._metrics = metrics
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()
        self._bodies: dict[str, Task] = {}
        self._bury: Bury | None = None

    def open(self) -> None:
        """Called once in each child, after the fork."""
        self._runner = asyncio.Runner()
        tasks, self._bury = self._runner.run(self._stack.enter_async_context(self._open_tasks()))
        self._bodies = {task.name: task for task in tasks}

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()
            self._runner = None
            self._tracing.close()

    def run(self, celery_task: CeleryTask, name: str, message_id: str, args: dict[str, Any]) -> None:
        """One delivery; a failure is tried again with growing pauses, then buried."""
        assert self._runner is not None, "open() has not run in this process"
        started = time.perf_counter()
        outcome = "ok"
        traceparent = getattr(celery_task.request, "traceparent", None)
        with self._tracing.task_span(name, traceparent) as span, structlog.contextvars.bound_contextvars(task=name):
            try:
                body = self._bodies[name].body(Delivery(UUID(message_id), args))
                self._runner.run(body, context=copy_context())  # so that it belongs to the task's trace
                log.info("task_done", message_id=message_id, seconds=round(time.perf_counter() - started, 4))
            except Exception as error:  # noqa: BLE001 - the edge of a task: the message must not be lost
                outcome = "failed"
                span.fail(error)
                self._failed(celery_task, Message(UUID(message_id), name, args, traceparent, datetime.now(UTC)), error)
            finally:
                self._metrics.duration.labels(name, outcome).observe(time.perf_counter() - started)

    def _failed(self, celery_task: CeleryTask, message: Message, error: Exception) -> None:
        assert self._runner is not None
        assert self._bury is not None
        attempts = int(celery_task.request.retries or 0) + 1
        if attempts < MAX_ATTEMPTS:
            log.warning("task_failed", reason=error, attempts=attempts)
            raise celery_task.retry(exc=error, countdown=min(2**attempts, 60), max_retries=MAX_ATTEMPTS)
        log.error("task_buried", reason=error, attempts=attempts, exc_info=error)
        reason = error.internal or error.message if isinstance(error, OmniError) else repr(error)
        self._runner.run(self._bury(message, reason, attempts))


def register(app: Celery, limits: Mapping[str, int | None], runtime: TaskRuntime) -> None:
    """Makes a Celery task of each name, with its time limit in seconds (None = the queue's), and ties the runtime to
    the life of the worker's children."""

    def on_start(**_signal: object) -> None:
        runtime.open()

    def on_stop(**_signal: object) -> None:
        runtime.close()

    worker_process_init.connect(on_start, weak=False)
    worker_process_shutdown.connect(on_stop, weak=False)
    for name, limit in limits.items():

        def body(celery_task: CeleryTask, message_id: str, args: dict[str, Any], _name: str = name) -> None:
            runtime.run(celery_task, _name, message_id, args)

        own = {} if limit is None else {"time_limit": limit, "soft_time_limit": limit - 10}
        app.task(name=name, bind=True, **own)(body)
