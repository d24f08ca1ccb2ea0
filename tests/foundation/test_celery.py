"""The settings that keep a killed worker from losing a task, and the delivery of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from omni.foundation.outbox.relay import Message
from omni.foundation.tasks.celery_app import MAX_ATTEMPTS, QueueSettings, create_celery
from omni.foundation.tasks.runtime import Bury, TaskRuntime
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.errors import Unavailable
from omni.telemetry.local_traces import client_call
from omni.telemetry.metrics import TaskMetrics
from omni.telemetry.traces import current_traceparent
from omni.testing.traces import KeptSpans

TRACE_ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_killed_worker_loses_nothing() -> None:
    settings = QueueSettings("redis://localhost:1/0")
    conf = create_celery(settings).conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert not conf.task_acks_on_failure_or_timeout
    assert conf.worker_prefetch_multiplier == 1
    assert conf.worker_disable_prefetch
    assert conf.worker_soft_shutdown_timeout > 0
    assert conf.worker_enable_soft_shutdown_on_idle
    assert conf.accept_content == ["json"]
    timeouts = {
        conf.visibility_timeout,
        conf.broker_transport_options["visibility_timeout"],
        conf.result_backend_transport_options["visibility_timeout"],
    }
    assert timeouts == {settings.visibility_timeout_seconds}
    assert conf.task_time_limit < settings.visibility_timeout_seconds


class Retry(Exception):
    """What Celery raises for a task that is to be tried again."""


class Request(SimpleNamespace):
    """The part of a Celery task that the runtime uses."""

    def __init__(self, retries: int = 0) -> None:
        super().__init__(request=SimpleNamespace(traceparent=f"00-{TRACE_ID}-{PARENT}-01", retries=retries))

    def retry(self, **_: Any) -> Retry:
        return Retry("card 4111 1111 1111 1111")


@pytest.fixture
def kept() -> KeptSpans:
    return KeptSpans()


def run(kept: KeptSpans, task: Task, retries: int = 0) -> list[Message]:
    """Runs one delivery as a worker's child does; the messages that were buried."""
    buried: list[Message] = []

    async def bury(message: Message, _error: str, _attempts: int) -> None:
        buried.append(message)

    @asynccontextmanager
    async def tasks() -> AsyncIterator[tuple[Sequence[Task], Bury]]:
        yield [task], bury

    runtime = TaskRuntime(tasks, kept.tracing(), TaskMetrics(CollectorRegistry()))
    runtime.open()
    try:
        runtime.run(Request(retries), task.name, str(uuid4()), {})
    finally:
        runtime.close()
    return buried


def test_what_a_task_does_and_enqueues_is_of_the_trace_that_enqueued_it(kept: KeptSpans) -> None:
    handed_on: list[str | None] = []

    async def body(_delivery: Delivery) -> None:
        with client_call("POST", {}):
            handed_on.append(current_traceparent())

    assert run(kept, Task("hooks.deliver", body)) == []
    [(root, call)] = kept.parts
    assert (root.name, root.kind, root.is_error) == ("process hooks.deliver", "consumer", False)
    assert (f"{root.trace_id:032x}", f"{root.parent_id:016x}") == (TRACE_ID, PARENT)
    assert (call.trace_id, call.parent_id) == (root.trace_id, root.span_id)
    assert handed_on == [f"00-{TRACE_ID}-{root.span_id:016x}-00"]
    assert kept.closed, "a child that ends sends what waits"


@pytest.mark.parametrize(
    ("error", "error_type"),
    [(ValueError("card 4111 1111 1111 1111"), "ValueError"), (Unavailable("database_busy", "Wait."), "database_busy")],
)
def test_a_failed_task_says_what_failed_without_its_text(kept: KeptSpans, error: Exception, error_type: str) -> None:
    async def body(_delivery: Delivery) -> None:
        raise error

    with pytest.raises(Retry):
        run(kept, Task("hooks.deliver", body))
    assert len(run(kept, Task("hooks.deliver", body), MAX_ATTEMPTS - 1)) == 1
    for [root] in kept.parts:
        assert (root.is_error, root.attributes) == (True, {"error.type": error_type})
    assert "4111" not in repr(kept.parts)
