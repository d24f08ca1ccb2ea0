"""The engine pool: bounds, deadlines, metering."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from omni.contracts.principal import Principal
from omni.inference.runtime.call import Call, Usage
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.clock import unix_micros
from omni.kit.errors import DeadlineExceeded, NotConfigured, Unavailable
from omni.kit.ids import uuid7
from omni.telemetry.metrics import EngineMetrics
from omni.testing.traces import KeptSpans
from tests.inference.measured import value


def a_call(seconds: float = 30) -> Call:
    deadline = unix_micros() + int(seconds * 1_000_000)
    return Call(Principal(uuid7(), uuid7(), uuid7(), "test", None, deadline))


@pytest.fixture
def pool() -> Iterator[EnginePool]:
    pool = EnginePool(threads=1, queue_limit=1, metrics=EngineMetrics(CollectorRegistry()))
    yield pool
    pool.close()


async def test_work_runs_off_the_event_loop_and_is_metered(pool: EnginePool) -> None:
    call = a_call()

    def work() -> str:
        sum(range(300_000))
        return threading.current_thread().name

    assert (await pool.run(call, "test", work)).startswith("engine")
    assert call.usage.quantities()["compute_ms"] >= 1


async def test_a_full_queue_refuses_with_a_time_to_come_back(pool: EnginePool) -> None:
    gate = threading.Event()
    busy = [asyncio.ensure_future(pool.run(a_call(), "test", gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await pool.run(a_call(), "test", gate.wait)
    assert (refused.value.code, refused.value.retry_after_seconds) == ("engine_busy", 1)
    gate.set()
    await asyncio.gather(*busy)
    assert await pool.run(a_call(), "test", lambda: "free again") == "free again"


async def test_the_queue_says_how_many_wait_and_how_long() -> None:
    registry, gate, begun = CollectorRegistry(), threading.Event(), threading.Event()
    pool = EnginePool(threads=1, queue_limit=1, metrics=EngineMetrics(registry))

    def work() -> bool:
        begun.set()
        return gate.wait()

    first = asyncio.ensure_future(pool.run(a_call(), "test", work))
    await asyncio.to_thread(begun.wait)
    assert value(registry, "omni_engine_oldest_job_seconds") == 0, "what is worked on does not wait"
    second = asyncio.ensure_future(pool.run(a_call(), "test", gate.wait))
    await asyncio.sleep(0)
    younger = value(registry, "omni_engine_oldest_job_seconds")
    assert value(registry, "omni_engine_oldest_job_seconds") > younger > 0
    assert value(registry, "omni_engine_jobs") == 2
    gate.set()
    await asyncio.gather(first, second)
    assert value(registry, "omni_engine_oldest_job_seconds") == 0
    pool.close()


async def test_a_call_that_was_begun_is_not_refused_half_way(pool: EnginePool) -> None:
    begun = a_call()
    await pool.run(begun, "test", lambda: None)
    gate = threading.Event()
    busy = [asyncio.ensure_future(pool.run(a_call(), "test", gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    goes_on = asyncio.ensure_future(pool.run(begun, "test", lambda: "done"))
    await asyncio.sleep(0)
    gate.set()
    assert await goes_on == "done"
    await asyncio.gather(*busy)


async def test_the_deadline_ends_the_wait_but_the_place_is_kept(pool: EnginePool) -> None:
    gate = threading.Event()
    with pytest.raises(DeadlineExceeded):
        await pool.run(a_call(0.05), "test", gate.wait)
    waits = asyncio.ensure_future(pool.run(a_call(), "test", lambda: "after"))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await pool.run(a_call(), "test", lambda: None)
    gate.set()
    assert await waits == "after"


async def test_a_job_whose_time_is_over_is_never_started(pool: EnginePool) -> None:
    gate, started = threading.Event(), threading.Event()
    busy = asyncio.ensure_future(pool.run(a_call(), "test", gate.wait))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded):
        await pool.run(a_call(0.05), "test", started.set)
    gate.set()
    await busy
    await pool.run(a_call(), "test", lambda: None)
    assert not started.is_set()


async def test_an_error_of_the_work_comes_out_as_it_is(pool: EnginePool) -> None:
    def work() -> None:
        raise ValueError("told you")

    with pytest.raises(ValueError, match="told you"):
        await pool.run(a_call(), "test", work)


async def test_map_keeps_the_order(pool: EnginePool) -> None:
    assert await pool.map(a_call(), "test", [partial(abs, number) for number in range(7)]) == list(range(7))


def test_usage_names_only_what_was_used() -> None:
    assert Usage().quantities() == {}
    assert Usage(compute_nanos=1, input_tokens=3).quantities() == {"input_tokens": 3, "compute_ms": 1}
    assert Usage(compute_nanos=2_500_000, pages=2).quantities() == {"pages": 2, "compute_ms": 3}


def test_an_engine_is_built_once() -> None:
    engine: LazyEngine[object] = LazyEngine("json", lambda module: object())
    assert engine.get() is engine.get()


def test_a_missing_package_is_said() -> None:
    engine: LazyEngine[object] = LazyEngine("no_such_engine_package", lambda module: object())
    with pytest.raises(NotConfigured, match="no_such_engine_package"):
        engine.get()


async def test_work_of_a_request_is_a_span_below_it(pool: EnginePool) -> None:
    kept, gate = KeptSpans(), threading.Event()

    def breaks() -> None:
        raise ValueError("the text that was sent")

    with kept.tracing().server_span("POST", ""):
        await pool.run(a_call(), "embedder", lambda: None)
        with pytest.raises(ValueError, match="the text"):
            await pool.run(a_call(), "embedder", breaks)
        with pytest.raises(DeadlineExceeded):
            await pool.run(a_call(0.05), "embedder", gate.wait)
        gate.set()
    [(root, *steps)] = kept.parts
    assert {(step.name, step.kind, step.parent_id) for step in steps} == {("engine embedder", "internal", root.span_id)}
    assert [step.attributes.get("error.type") for step in steps] == [None, "ValueError", "timeout"]
    assert "the text" not in repr(kept.parts)
