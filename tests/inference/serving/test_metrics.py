"""What the pool counts: of real processes that serve and die, and of gates that a test holds."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from omni.inference.serving.lane import ServedModel
from omni.inference.serving.pool import ServingPool
from omni.inference.serving.process import ChildProcess, ModelFailed, ModelProcess, ProcessEnded
from omni.inference.serving.settings import ServingSettings
from omni.kit.errors import DeadlineExceeded, Unavailable
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import ServingMetrics
from tests.inference import onnx_files
from tests.inference.measured import by, value
from tests.inference.serving.conftest import World, a_call, a_model, rows

MIB = 1024 * 1024
TENANT = uuid7()
ENDLESS = {"turns": np.array(1 << 60), "x": np.ones(1, np.float32)}
SHORT = {"turns": np.array(2), "x": np.ones(1, np.float32)}


@dataclass
class Measured:
    """A pool and what it counts; with real processes it knows them."""

    registry: CollectorRegistry
    pool: ServingPool
    children: list[ChildProcess]

    def status(self) -> dict[str, float]:
        return by(self.registry, "omni_serving_processes", "status")

    def ends(self) -> dict[str, float]:
        return by(self.registry, "omni_serving_ends_total", "reason")

    def starts(self, outcome: str) -> dict[str, float]:
        name = "omni_serving_start_duration_seconds_count"
        reasons = by(self.registry, name, "reason")
        return {
            reason: count for reason in reasons
            if (count := value(self.registry, name, reason=reason, outcome=outcome))
        }  # fmt: skip

    def signal(self, number: int) -> None:
        """To the newest process."""
        os.kill(self.children[-1]._process.pid, number)


@asynccontextmanager
async def measured(world: World | None = None, **limits: object) -> AsyncIterator[Measured]:
    registry, children = CollectorRegistry(), list[ChildProcess]()
    settings = ServingSettings(**limits)  # type: ignore[arg-type]

    async def spawn() -> ModelProcess:
        children.append(await ChildProcess.start(settings.process_memory_bytes))
        return children[-1]

    pool = ServingPool(settings, ServingMetrics(registry), spawn if world is None else world)
    try:
        yield Measured(registry, pool, children)
    finally:
        for process in [] if world is None else world.started:
            process.gate.set()
        await pool.close()


def served(name: str, data: bytes, *, joinable: bool = False) -> ServedModel:
    async def fetch() -> bytes:
        return data

    return ServedModel(TENANT, name, len(data), fetch, joinable)


async def test_every_start_and_end_of_a_process_is_counted_with_its_reason() -> None:
    linear, loop = served("linear", onnx_files.linear([[1.0]])), served("loop", onnx_files.looping())
    async with measured(processes_per_tenant=1, cpu_seconds=2.0) as found:
        pool = found.pool
        await pool.run(a_call(TENANT), linear, rows(1), 1)
        assert (found.status(), found.starts("ready")) == ({"resting": 1}, {"cold": 1})
        assert 20 * MIB < value(found.registry, "omni_serving_memory_bytes") < 1024 * MIB
        await pool.run(a_call(TENANT), loop, SHORT, 1)
        assert found.ends() == {"evicted": 1}
        with pytest.raises(ProcessEnded):
            await pool.run(a_call(TENANT), loop, ENDLESS, 1)
        assert (found.ends(), found.status()) == ({"evicted": 1, "cpu": 1}, {})
        for number, reason in ((signal.SIGKILL, "killed"), (signal.SIGSEGV, "crash")):
            await pool.run(a_call(TENANT), loop, SHORT, 1)
            found.signal(number)
            with pytest.raises(ProcessEnded) as ended:
                await pool.run(a_call(TENANT), loop, SHORT, 1)
            assert ended.value.args == (reason,)
        assert found.starts("ready") == {"cold": 2, "restart": 2}
        await pool.run(a_call(TENANT), loop, SHORT, 1)
        with pytest.raises(DeadlineExceeded):
            await pool.run(a_call(TENANT, 0.5), loop, ENDLESS, 1)
        while pool._lanes[loop.key].is_at_work:
            await asyncio.sleep(0.01)
        await pool.run(a_call(TENANT), linear, rows(1), 1)
        await pool.rest(time.monotonic() + 10_000)
        await pool.run(a_call(TENANT), loop, SHORT, 1)
        await pool.forget(TENANT, "loop")
        async with pool.trial(a_call(TENANT), onnx_files.linear([[1.0]])):
            assert found.starts("ready")["trial"] == 1
        with pytest.raises(ModelFailed):
            async with pool.trial(a_call(TENANT), b"no model"):
                pass
        await pool.run(a_call(TENANT), linear, rows(1), 1)
    assert found.ends() == {
        "evicted": 1, "cpu": 1, "killed": 1, "crash": 1, "time": 1, "idle": 1, "deleted": 1, "tried": 1, "stopped": 1,
    }  # fmt: skip
    assert sum(found.starts("ready").values()) == sum(found.ends().values())
    assert found.starts("failed") == {"trial": 1}
    runs = by(found.registry, "omni_serving_run_duration_seconds_count", "outcome")
    assert runs == {"answered": 8, "ended": 4}
    assert value(found.registry, "omni_serving_start_duration_seconds_sum", reason="cold", outcome="ready") > 0.1


async def test_waits_and_joined_requests_add_up_to_what_was_asked() -> None:
    model = served("linear", onnx_files.linear([[1.0]]), joinable=True)
    async with measured() as found:
        for _ in range(3):
            await asyncio.gather(*(found.pool.run(a_call(TENANT), model, rows(n), 1) for n in range(10)))
        with pytest.raises(ModelFailed):
            await found.pool.run(a_call(TENANT), model, {"x": np.zeros((1, 2), np.float32)}, 1)
    runs = by(found.registry, "omni_serving_run_duration_seconds_count", "outcome")
    assert runs == {"answered": value(found.registry, "omni_serving_joined_requests_count"), "failed": 1}
    assert value(found.registry, "omni_serving_joined_requests_sum") == 30
    assert runs["answered"] < 30
    assert value(found.registry, "omni_serving_wait_seconds_count") == 31
    assert value(found.registry, "omni_serving_wait_seconds_sum") > 0


async def test_the_queue_its_age_and_who_is_refused() -> None:
    world, tenant = World(open=False), uuid7()
    async with measured(world, queue_limit=2, processes=1, room_seconds=0.05) as found:
        pool, model = found.pool, a_model(tenant, "m")
        first = asyncio.create_task(pool.run(a_call(tenant), model, rows(0), 1))
        while not world.started:
            await asyncio.sleep(0)
        await world.started[0].busy.wait()
        assert value(found.registry, "omni_serving_oldest_request_seconds") == 0
        others = [asyncio.create_task(pool.run(a_call(tenant), model, rows(n), 1)) for n in (1, 2)]
        while value(found.registry, "omni_serving_waiting_requests") < 2:
            await asyncio.sleep(0)
        younger = value(found.registry, "omni_serving_oldest_request_seconds")
        assert value(found.registry, "omni_serving_oldest_request_seconds") > younger > 0
        assert found.status() == {"working": 1}
        with pytest.raises(Unavailable):
            await pool.run(a_call(tenant), model, rows(3), 1)
        with pytest.raises(Unavailable):
            await pool.run(a_call(), a_model(uuid7(), "other"), rows(1), 1)
        await pool.forget(tenant, "m")
        refused = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(each) for each in refused] == [Unavailable] * 3
    counted = by(found.registry, "omni_serving_refused_total", "reason")
    assert counted == {"queue_full": 1, "no_room": 1, "deleted": 3}
    assert value(found.registry, "omni_serving_waiting_requests") == 0


async def test_a_model_that_cannot_be_fetched_is_a_start_that_failed() -> None:
    async def fetch() -> bytes:
        raise Unavailable("model_damaged", "The stored file is another.")

    async with measured(World()) as found:
        with pytest.raises(Unavailable):
            await found.pool.run(a_call(TENANT), ServedModel(TENANT, "m", 1, fetch, True), rows(1), 1)
    assert (found.starts("failed"), found.ends()) == ({"cold": 1}, {})
    assert by(found.registry, "omni_serving_refused_total", "reason") == {}
