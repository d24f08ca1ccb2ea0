"""Overload: the engines stay as fast as they are, nobody takes others' share, what is shed is told at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import pytest

from omni.gateway.overload import Gate, LoadGuard, Place
from omni.kit.errors import Unavailable
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.support import (
    EMBEDDINGS,
    ControlPlane,
    FakeBackend,
    Received,
    RedisServer,
    Reply,
    Tenant,
    answer,
    ask,
    eventually,
)
from tests.simulation.clock import Clock, VirtualLoop

SERVICE_SECONDS = 0.05
ENGINES = 16
PEAK = ENGINES / SERVICE_SECONDS


class Engines:
    """So many engines, each busy for a while with a request, and a queue without end before them."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(ENGINES)
        self.served = 0

    async def serve(self) -> float:
        """Serves one request; how long it waited, seconds."""
        loop = asyncio.get_running_loop()
        came = loop.time()
        async with self._free:
            waited = loop.time() - came
            await asyncio.sleep(SERVICE_SECONDS)
        self.served += 1
        return waited

    async def handler(self, _: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(omni_wait_ms=str(int(await self.serve() * 1000))))


async def steadily(per_second: float, seconds: float, one: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """What came of requests sent at a steady rate, whatever became of those before."""
    loop = asyncio.get_running_loop()
    start, sent = loop.time(), []
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, start + number / per_second - loop.time()))
        sent.append(asyncio.ensure_future(one(number)))
    return await asyncio.gather(*sent)


async def embed(port: int, tenant: Tenant) -> Reply:
    lines = {**tenant.bearer, "content-type": "application/json"}
    return await ask(port, "POST", EMBEDDINGS, lines, b'{"input":"x"}')


async def test_what_is_more_than_the_engines_serve_is_told_at_once_to_come_later(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    port = (await start_gateway(shared_redis.url)).ports.public
    backend.handler = Engines().handler
    tenants = [await control.tenant() for _ in range(4)]

    async def one(number: int) -> Reply:
        return await embed(port, tenants[number % len(tenants)])

    replies = await steadily(3 * PEAK, 3, one)
    assert {reply.status for reply in replies} == {200, 503}
    refused = [reply for reply in replies if reply.status == 503]
    assert {code(reply) for reply in refused} == {"overloaded"}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)

    async def no_trace_of_it_is_left() -> bool:
        return {reply.status for reply in await steadily(PEAK / 4, 0.5, one)} == {200}

    await eventually(no_trace_of_it_is_left)


class Overloaded:
    """A gate before engines, on a clock that passes only while all wait: nothing here hangs on the machine's speed."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.engines = Engines()

    async def offered(
        self, tenants: list[UUID], per_second: float, seconds: float, *, batch: bool = False
    ) -> list[float | None]:
        """How long each request took that was served, seconds; None for those refused."""
        loop = asyncio.get_running_loop()

        async def one(number: int) -> float | None:
            begun = loop.time()
            try:
                place = await self.gate.enter(tenants[number % len(tenants)], batch=batch)
            except Unavailable:
                assert loop.time() - begun <= 0.051, "refused at once"
                return None
            self.gate.leave(place, await self.engines.serve())
            return loop.time() - begun

        return await steadily(per_second, seconds, one)


def virtually(story: Callable[[Overloaded], Awaitable[None]]) -> None:
    async def told() -> None:
        await story(Overloaded())

    with closing(VirtualLoop(Clock(0))) as loop:
        loop.run_until_complete(told())


def served(requests: list[float | None]) -> list[float]:
    return sorted(seconds for seconds in requests if seconds is not None)


async def _three_times_the_capacity(overloaded: Overloaded) -> None:
    tenants, loop = [uuid4() for _ in range(4)], asyncio.get_running_loop()
    assert None not in await overloaded.offered(tenants, 0.9 * PEAK, 2)
    await overloaded.offered(tenants, 3 * PEAK, 3)  # the limit finds its place
    begun, before = loop.time(), overloaded.engines.served
    took = served(await overloaded.offered(tenants, 3 * PEAK, 10))
    assert overloaded.engines.served - before >= 0.9 * PEAK * (loop.time() - begun), "as much as can be"
    assert took[int(0.99 * len(took))] <= 6 * SERVICE_SECONDS, "nobody waits in a queue that only grows"
    assert None not in await overloaded.offered(tenants, 0.9 * PEAK, 2), "no trace of the overload is left"


def test_at_three_times_the_capacity_as_much_is_served_as_can_be() -> None:
    virtually(_three_times_the_capacity)


def test_a_gate_that_never_narrows_lets_the_queue_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "_learn", lambda *_: None)
    with pytest.raises(AssertionError, match="a queue that only grows"):
        virtually(_three_times_the_capacity)


@pytest.mark.parametrize("batch", [True, False])
def test_a_flood_of_one_tenant_takes_nothing_from_another(batch: bool) -> None:
    """Whether it floods as batch or as interactive: the other stays below its share of the places."""

    async def story(overloaded: Overloaded) -> None:
        greedy, modest = [uuid4()], [uuid4()]
        await overloaded.offered(greedy, 3 * PEAK, 3, batch=batch)
        flood = asyncio.ensure_future(overloaded.offered(greedy, 3 * PEAK, 5, batch=batch))
        others = await overloaded.offered(modest, PEAK / 4, 5)
        assert served(await flood)
        assert len(served(others)) >= 0.9 * len(others)

    virtually(story)


def test_batch_requests_give_way() -> None:
    async def story(overloaded: Overloaded) -> None:
        tenants = [uuid4() for _ in range(2)]
        await overloaded.offered(tenants, 3 * PEAK, 3, batch=True)
        flood = asyncio.ensure_future(overloaded.offered(tenants, 3 * PEAK, 5, batch=True))
        interactive = await overloaded.offered(tenants, PEAK / 2, 5)
        batch = await flood
        assert len(served(interactive)) >= 0.9 * len(interactive)
        assert 0 < len(served(batch)) < len(batch) / 3

    virtually(story)


async def filled(gate: Gate, count: int) -> list[Place]:
    tenant = uuid4()
    return [await gate.enter(tenant, batch=False) for _ in range(count)]


async def test_a_tenant_below_its_share_waits_for_a_place_and_others_are_refused() -> None:
    gate = Gate()
    places = await filled(gate, gate.limit)
    with pytest.raises(Unavailable, match="More is asked for"):
        await gate.enter(places[0].tenant, batch=False)
    waiting = asyncio.create_task(gate.enter(uuid4(), batch=False))
    await asyncio.sleep(0)
    gate.leave(places.pop())
    place = await waiting
    for each in (*places, place):
        gate.leave(each)
    assert gate.open == 0


async def test_who_waits_too_long_or_goes_away_takes_no_place() -> None:
    gate = Gate()
    places = await filled(gate, gate.limit)
    with pytest.raises(Unavailable):
        await gate.enter(uuid4(), batch=False)
    leaver = asyncio.create_task(gate.enter(uuid4(), batch=False))
    await asyncio.sleep(0)
    gate.leave(places.pop())  # granted in the turn in which it is cancelled
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    for each in places:
        gate.leave(each)
    assert gate.open == 0


async def test_the_limit_follows_how_fast_the_engines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)

    async def rounds(count: int, seconds: float) -> int:
        nonlocal now
        for _ in range(count):
            places = await filled(gate, min(gate.limit, 64))
            now += seconds
            for place in places:
                gate.leave(place, seconds)
        return gate.limit

    assert await rounds(10, 0.01) == 1024, "nobody waits"
    assert await rounds(2, 0.2) == 1024, "a burst"
    assert await rounds(50, 0.2) < 10, "too many for too long"
    assert await rounds(200, 0.01) > 50, "nobody waits any more"


async def test_a_late_event_loop_sheds_batch_first_and_more_the_later_it_is() -> None:
    guard = LoadGuard(open_limit=10)

    def served(late_seconds: float, *, batch: bool) -> int:
        for _ in range(50):
            guard.tick(late_seconds, 1)
        return sum(guard.lets_in(batch=batch) for _ in range(1000))

    assert served(0.01, batch=False) == 1000
    assert served(0.25, batch=False) == 1000
    assert served(0.25, batch=True) < 900
    assert 300 < served(0.75, batch=False) < 700
    assert served(1.5, batch=False) == 0
    assert served(0.0, batch=True) == 1000


async def test_a_guard_that_is_idle_costs_nothing_and_one_that_is_full_lets_nobody_in() -> None:
    guard = LoadGuard(open_limit=10)
    guard.tick(0.0, 9)
    idle = guard.active
    guard.tick(0.0, 10)
    assert (idle, guard.active, guard.lets_in(batch=False)) == (False, True, False)


async def test_a_process_that_is_full_refuses_at_once(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(shared_redis.url, open_requests_limit=2, lag_check_seconds=0.01)
    tenant = await control.tenant()
    release = asyncio.Event()

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer())

    backend.handler = slow
    port = gateway.ports.public
    asked = [asyncio.create_task(embed(port, tenant)) for _ in range(2)]

    async def shed() -> bool:
        try:
            async with asyncio.timeout(0.2):
                return (await ask(port, "GET", "/v1/models", tenant.bearer)).status == 503
        except TimeoutError:
            return False  # it was let in before the process noticed that it is full

    await eventually(shed)
    release.set()
    assert Counter(reply.status for reply in await asyncio.gather(*asked)) == {200: 2}

    async def served() -> bool:
        return (await embed(port, tenant)).status == 200

    await eventually(served)
