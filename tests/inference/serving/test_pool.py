"""Who gets a process, what is joined, and what happens when one dies. No stopwatch: gates are opened by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from omni.inference.serving.pool import ServingPool
from omni.inference.serving.process import ProcessEnded
from omni.inference.serving.settings import ServingSettings
from omni.kit.errors import DeadlineExceeded, Unavailable
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import ServingMetrics
from tests.inference.serving.conftest import MIB, NANOS, World, a_call, a_model, rows


@asynccontextmanager
async def serving(world: World, **limits: object) -> AsyncIterator[ServingPool]:
    metrics = ServingMetrics(CollectorRegistry())
    pool = ServingPool(ServingSettings(**limits), metrics, world)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        for process in world.started:
            process.gate.set()
        await pool.close()
    assert world.alive() == []


async def turns(count: int = 20) -> None:
    """Lets everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_requests_that_wait_together_are_joined_and_answered_apart() -> None:
    world, tenant = World(open=False), uuid7()
    async with serving(world) as pool:
        model, calls = a_model(tenant, "m"), [a_call(tenant) for _ in range(5)]
        first = asyncio.create_task(pool.run(calls[0], model, rows(0), 1))
        await turns()
        others = [
            asyncio.create_task(pool.run(call, model, rows(*range(n, 2 * n)), n)) for n, call in enumerate(calls[1:], 1)
        ]
        await turns()
        (process,) = world.started
        process.gate.set()
        answers = await asyncio.gather(first, *others)
        assert process.runs == [1, 1 + 2 + 3 + 4]
        for n, answer in enumerate(answers[1:], 1):
            assert np.array_equal(answer.outputs["y"], rows(*range(n, 2 * n))["x"] + 1)
            assert answer.joined == 4
            assert calls[n].usage.compute_nanos == n * NANOS


async def test_requests_of_other_shapes_or_for_models_that_do_not_join_run_alone() -> None:
    world, tenant = World(open=False), uuid7()
    async with serving(world) as pool:
        wide = {"x": np.zeros((1, 2), np.float32)}
        apart = [pool.run(a_call(tenant), a_model(tenant, "alone", joinable=False), rows(n), 1) for n in range(3)]
        mixed = [
            pool.run(a_call(tenant), a_model(tenant, "m"), inputs, 1) for inputs in (rows(1), rows(2), wide, rows(3))
        ]
        tasks = [asyncio.create_task(each) for each in (*apart, *mixed)]
        await turns()
        for process in world.started:
            process.gate.set()
        await asyncio.gather(*tasks)
        runs = {process.model: process.runs for process in world.started}
        assert runs[b"alone"] == [1, 1, 1]
        assert runs[b"m"] in ([1, 1, 1, 1], [2, 1, 1])


async def test_at_most_so_many_are_joined() -> None:
    world, tenant = World(open=False), uuid7()
    async with serving(world, most_joined=3) as pool:
        model = a_model(tenant, "m")
        tasks = [asyncio.create_task(pool.run(a_call(tenant), model, rows(n), 1)) for n in range(8)]
        await turns()
        world.started[0].gate.set()
        await asyncio.gather(*tasks)
        assert max(world.started[0].runs) == 3
        assert sum(world.started[0].runs) == 8


async def test_a_slow_model_of_one_tenant_holds_up_no_other() -> None:
    """A tenant's models take at most their share of the processes; another's request goes through meanwhile."""
    world, slow, other = World(open=False), uuid7(), uuid7()
    async with serving(world, processes=4, processes_per_tenant=2, room_seconds=30.0) as pool:
        stuck = [asyncio.create_task(pool.run(a_call(slow), a_model(slow, f"m{n}"), rows(n), 1)) for n in range(6)]
        await turns()
        assert pool.open_processes()[slow] == 2
        world.open = True
        answer = await pool.run(a_call(other), a_model(other, "quick"), rows(1), 1)
        assert answer.outputs["y"].tolist() == [[2.0]]
        assert not any(task.done() for task in stuck)
        for process in world.started:
            process.gate.set()
        assert len(await asyncio.gather(*stuck)) == 6


async def test_a_tenant_that_queues_too_much_is_told_to_wait() -> None:
    world, tenant, other = World(open=False), uuid7(), uuid7()
    async with serving(world, queue_limit=3) as pool:
        model = a_model(tenant, "m")
        tasks = [asyncio.create_task(pool.run(a_call(tenant), model, rows(0), 1))]
        await turns()
        tasks += [asyncio.create_task(pool.run(a_call(tenant), model, rows(n), 1)) for n in range(3)]
        await turns()
        with pytest.raises(Unavailable) as refused:
            await pool.run(a_call(tenant), model, rows(9), 1)
        assert (refused.value.code, refused.value.retry_after_seconds) == ("serving_queue_full", 2)
        world.open = True
        assert (await pool.run(a_call(other), a_model(other, "m"), rows(1), 1)).joined == 1
        world.started[0].gate.set()
        await asyncio.gather(*tasks)


async def test_with_every_process_at_work_a_model_waits_and_then_gives_up() -> None:
    world, tenant = World(open=False), uuid7()
    async with serving(world, processes=1, room_seconds=0.1) as pool:
        held = asyncio.create_task(pool.run(a_call(tenant), a_model(tenant, "a"), rows(1), 1))
        await turns()
        with pytest.raises(Unavailable) as refused:
            await pool.run(a_call(), a_model(uuid7(), "b"), rows(1), 1)
        assert refused.value.code == "serving_busy"
        world.started[0].gate.set()
        await held


async def test_the_process_that_rested_longest_makes_room() -> None:
    world = World()
    async with serving(world, memory_bytes=250 * MIB) as pool:
        tenants = [uuid7() for _ in range(3)]
        for tenant in tenants[:2]:
            await pool.run(a_call(tenant), a_model(tenant, "m"), rows(1), 1)
        await pool.run(a_call(tenants[0]), a_model(tenants[0], "m"), rows(1), 1)
        await pool.run(a_call(tenants[2]), a_model(tenants[2], "m"), rows(1), 1)
        assert [process.is_closed for process in world.started] == [False, True, False]
        assert set(pool.open_processes()) == {tenants[0], tenants[2]}


async def test_a_process_that_rests_for_long_ends() -> None:
    world, tenant = World(), uuid7()
    async with serving(world, idle_seconds=100.0) as pool:
        await pool.run(a_call(tenant), a_model(tenant, "m"), rows(1), 1)
        await turns()
        await pool.rest(time.monotonic() + 99)
        assert len(world.alive()) == 1
        await pool.rest(time.monotonic() + 101)
        assert world.alive() == []
        assert (await pool.run(a_call(tenant), a_model(tenant, "m"), rows(1), 1)).joined == 1


async def test_only_the_request_that_kills_the_process_pays_for_it() -> None:
    world, tenant = World(open=False, poison=7), uuid7()
    async with serving(world) as pool:
        model = a_model(tenant, "m")
        first = asyncio.create_task(pool.run(a_call(tenant), model, rows(0), 1))
        await turns()
        tasks = [asyncio.create_task(pool.run(a_call(tenant), model, rows(n), 1)) for n in (6, 7, 8)]
        await turns()
        world.open = True
        world.started[0].gate.set()
        outcomes = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert [type(outcome).__name__ for outcome in outcomes] == ["Answer", "Answer", "ProcessEnded", "Answer"]
        assert isinstance(outcomes[2], ProcessEnded)
        assert outcomes[2].args == ("crash",)


async def test_who_waits_too_long_is_not_worked_for() -> None:
    world, tenant = World(open=False), uuid7()
    async with serving(world) as pool:
        model = a_model(tenant, "m", joinable=False)
        first = asyncio.create_task(pool.run(a_call(tenant), model, rows(0), 1))
        await turns()
        with pytest.raises(DeadlineExceeded):
            await pool.run(a_call(tenant, 0.05), model, rows(1), 1)
        world.started[0].gate.set()
        await first
        await turns()
        assert world.started[0].runs == [1]


async def test_what_a_model_cannot_be_fetched_for_everybody_gets() -> None:
    world, tenant = World(), uuid7()

    async def fetch() -> bytes:
        raise Unavailable("model_damaged", "The stored file is another.")

    async with serving(world) as pool:
        model = a_model(tenant, "m")
        broken = type(model)(tenant, "broken", 1, fetch, True)
        outcomes = await asyncio.gather(
            *(pool.run(a_call(tenant), broken, rows(n), 1) for n in range(3)), return_exceptions=True
        )
        assert [type(each) for each in outcomes] == [Unavailable] * 3
        assert (await pool.run(a_call(tenant), model, rows(1), 1)).joined == 1


async def test_who_waits_for_a_version_that_is_deleted_is_told_to_ask_again() -> None:
    world, tenant = World(open=False), uuid7()
    async with serving(world) as pool:
        waiting = asyncio.create_task(pool.run(a_call(tenant), a_model(tenant, "m"), rows(1), 1))
        await turns()
        await pool.forget(tenant, "m")
        with pytest.raises(Unavailable):
            await waiting
        assert world.alive() == []
        assert not pool.open_processes()
