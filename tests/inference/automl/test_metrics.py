"""What is counted of training: slices by how they ended, the processes that there are, models that were tried."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from omni.inference.automl import trainer
from omni.inference.jobs import repository
from omni.inference.jobs.runner import More
from tests.inference.automl.conftest import World
from tests.inference.automl.tables import churn, prices
from tests.inference.automl.test_training import request
from tests.inference.measured import by, value

SLICES = "omni_training_duration_seconds_count"


async def test_a_search_in_slices_is_counted_with_its_trials(world: World) -> None:
    job = await world.job("automl", request(await world.dataset(churn(100)), "left", max_trials=5, seed=5))
    done, tasks = await world.work(world.automl(22.0), job)
    assert done.result is not None
    slices = by(world.metrics, SLICES, "outcome")
    assert slices["done"] == 1
    assert sum(slices.values()) == len(tasks)
    assert value(world.metrics, "omni_training_trials_total") == 5
    assert sum(by(world.metrics, "omni_training_duration_seconds_sum", "outcome").values()) > 0
    assert value(world.metrics, "omni_training_processes") == 0


async def test_a_training_process_that_dies_or_is_cancelled_is_counted_as_such(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.job("automl", request(await world.dataset(prices(400)), "price", max_trials=None))
    during: list[float] = []
    listen = trainer._listen

    async def killed(process: asyncio.subprocess.Process, *rest: Any) -> None:
        during.append(value(world.metrics, "omni_training_processes"))
        process.kill()
        await listen(process, *rest)

    monkeypatch.setattr(trainer, "_listen", killed)
    assert isinstance(await world.automl().work(world.task(job)), More)
    assert (during, by(world.metrics, SLICES, "outcome")) == ([1], {"died": 1})

    async def cancelled(process: asyncio.subprocess.Process, *rest: Any) -> None:
        async with world.database.write(world.tenant.tenant_id) as session:
            await repository.request_cancel(session, job.id, datetime.now(UTC))
        await listen(process, *rest)

    monkeypatch.setattr(trainer, "_listen", cancelled)
    await world.automl().work(world.task(job))
    assert by(world.metrics, SLICES, "outcome") == {"died": 1, "cancelled": 1}
    assert value(world.metrics, "omni_training_processes") == 0
