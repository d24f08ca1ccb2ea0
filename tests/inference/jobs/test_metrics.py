"""What is counted of workers on jobs, and what waits for them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from omni.foundation.db.system_session import SystemDatabase
from omni.inference.calling import Reply
from omni.inference.job_work import JOB_KINDS, job_queues
from omni.inference.jobs.repository import QueueFigures
from tests.inference.jobs.conftest import GOOD, World, requests
from tests.inference.measured import by

SLICES = "omni_job_slice_duration_seconds_count"


async def test_slices_are_counted_by_how_they_ended(world: World) -> None:
    await world.work()  # what other tests left
    before = {label: Counter(by(world.metrics, SLICES, label)) for label in ("outcome", "kind")}

    def counted(label: str) -> Counter[str]:
        return Counter(by(world.metrics, SLICES, label)) - before[label]

    await world.batch(requests("one"))
    await world.work()
    assert counted("outcome") == {"succeeded": 1}
    await world.batch(b"{")
    await world.work()
    assert counted("outcome") == {"succeeded": 1, "failed": 1}

    def broken(_body: object, _request_id: UUID) -> Reply:
        raise RuntimeError("ours")

    world.calls.answer = broken
    batch_id = await world.batch(requests("one"))
    await world.runner.run_next()
    cancelled = await world.tenant.send("POST", f"/v1/batches/{batch_id}/cancel")
    assert cancelled.status_code == 200
    await world.work()
    assert counted("outcome") == {"succeeded": 1, "failed": 1, "broken": 1, "cancelled": 1}
    assert counted("kind") == {"batch": 4}


async def test_queues_are_read_by_kind_with_the_longest_wait(
    world: World, system_database: SystemDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def queue() -> QueueFigures:
        async with system_database.session() as session:
            found = await job_queues(session, world.clock.now())
        assert set(found) >= set(JOB_KINDS), "a kind without jobs is there, too"
        return found["batch"]

    await world.work()
    before = await queue()
    for _ in range(2):
        await world.batch(requests("one"))
    world.clock.ahead += timedelta(seconds=90)
    waiting = await queue()
    assert waiting.waiting == before.waiting + 2
    assert waiting.oldest_seconds >= 90
    seen: list[QueueFigures] = []

    async def send(*_asked: object) -> Reply:
        seen.append(await queue())
        return Reply(200, GOOD, None)

    monkeypatch.setattr(world.calls, "send", send)
    await world.runner.run_next()
    assert [(each.waiting, each.working) for each in seen] == [(waiting.waiting - 1, before.working + 1)]
    await world.work()
    after = await queue()
    assert (after.waiting, after.working) == (before.waiting, before.working)
