"""The Celery application. The broker is Redis; a killed worker's tasks run again (bodies are idempotent)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery

from omni.foundation.outbox.relay import Message

QUEUE = "omni"
JOBS_QUEUE = "omni-jobs"
"""What takes long waits here, and is worked on by processes of its own: a mail never waits behind a batch."""
JOBS_PREFIX = "jobs."
"""Of the names of tasks that go there."""
MAX_ATTEMPTS = 8


def queue_of(task: str) -> str:
    """The queue of a task."""
    return JOBS_QUEUE if task.startswith(JOBS_PREFIX) else QUEUE


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Bounds of the task queue; times in seconds."""

    broker_url: str
    visibility_timeout_seconds: int = 120
    """A task that a dead worker held is delivered again after this long; no task of the first queue runs longer."""
    time_limit_seconds: int = 90
    socket_timeout_seconds: int = 5


def create_celery(settings: QueueSettings) -> Celery:
    """An application whose settings lose no task when a process is killed."""
    transport = {
        "visibility_timeout": settings.visibility_timeout_seconds,
        "socket_timeout": settings.socket_timeout_seconds,
        "socket_connect_timeout": settings.socket_timeout_seconds,
        "health_check_interval": 10,
    }
    app = Celery("omni", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=False,
        task_time_limit=settings.time_limit_seconds,
        task_soft_time_limit=settings.time_limit_seconds - 10,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=10.0,
        worker_enable_soft_shutdown_on_idle=True,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        visibility_timeout=settings.visibility_timeout_seconds,
        broker_transport_options=transport,
        result_backend_transport_options=transport,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        event_queue_expires=60,
    )
    return app


class TaskQueue:
    """The sending side, used by the relay."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    async def send(self, messages: Sequence[Message]) -> None:
        """Hands messages to the broker. Raises kombu's OperationalError when it cannot be reached."""
        await asyncio.to_thread(self._send_all, messages)

    def _send_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._send(message)

    def _send(self, message: Message) -> None:
        headers: dict[str, Any] = {"traceparent": message.traceparent} if message.traceparent else {}
        self._app.send_task(
            message.task,
            kwargs={"message_id": str(message.id), "args": message.args},
            task_id=str(message.id),
            queue=queue_of(message.task),
            headers=headers,
            retry=False,
        )

    def close(self) -> None:
        self._app.close()
