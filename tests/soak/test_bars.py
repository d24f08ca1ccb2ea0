"""The bars of `tests/bars`, for longer: `make soak`."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter

import pytest

from omni.domains.metering.service import Counters
from tests.bars.processes import Fleet
from tests.bars.test_fleet import flood, prepare, rolling
from tests.bars.test_money import CEILING, PRICE, limited, spent, start
from tests.bars.test_providers import (
    HEDGE_AFTER_MS,
    PLAIN,
    TAIL_SECONDS,
    WITH_FALLBACK,
    Providers,
    latencies,
    route,
    tail,
)
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import DONE, chat, delta, model, says, streams, target, usage_event, whole
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer, Reply
from tests.gateway.test_overload import PEAK, SERVICE_SECONDS, Engines, embed, steadily

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


async def test_four_gateways_keep_one_rate_for_a_minute(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet,
) -> None:  # fmt: skip
    admitted, allowed, burst = await flood(fleet, own_redis, own_control, backend_server[1], 60.0)
    assert 0.99 * allowed <= admitted <= allowed + burst


async def test_ten_rolling_restarts_lose_nothing(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet, start_gateway: StartGateway,
) -> None:  # fmt: skip
    never = await prepare(start_gateway, own_redis, own_control, backend, backend_server[1])
    load, ends = await rolling(fleet, own_redis, own_control, backend_server[1], 10, signal.SIGTERM)
    never.set()
    assert load.statuses().keys() == {200}
    assert all(b"server_shutdown" in end for end in ends)


async def test_crowds_come_again_and_again_until_a_budget_is_used_up(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    start_gateway: StartGateway,
) -> None:  # fmt: skip
    gateway = await start(start_gateway, own_redis, own_control, backend_server[1])
    backend.handler = streams(delta("Hello", "stop"), usage_event(30, 5), DONE)
    tenant = await limited(own_control, "wallet", 20 * CEILING)
    counters = Counters(own_control.redis)
    statuses: Counter[int] = Counter()
    for _ in range(20):
        calls = (chat(gateway.ports.public, tenant, stream=True, max_tokens=5) for _ in range(300))
        statuses.update(reply.status for reply in await asyncio.gather(*calls))
        await counters.reap()
        assert await own_control.holds(tenant.key.tenant_id) == 0
        assert await spent(own_control, tenant) <= 20 * CEILING
    assert statuses.keys() == {200, 429}
    assert await spent(own_control, tenant) > 20 * CEILING - 2 * PRICE


async def test_a_minute_at_three_times_the_capacity(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet,
) -> None:  # fmt: skip
    _, port = await fleet.start(own_redis.url, backend_server[1])
    engines = Engines()
    backend.handler = engines.handler
    tenants = [await own_control.tenant() for _ in range(4)]

    async def timed(number: int) -> tuple[Reply, float]:
        begun = time.monotonic()
        return await embed(port, tenants[number % len(tenants)]), time.monotonic() - begun

    async def served(per_second: float, seconds: float) -> tuple[float, list[tuple[Reply, float]]]:
        """Requests served a second, and what came back."""
        backend.received.clear()
        begun, before = time.monotonic(), engines.served
        replies = await steadily(per_second, seconds, timed)
        return (engines.served - before) / (time.monotonic() - begun), replies

    peak, _ = await served(PEAK, 10)
    await served(3 * PEAK, 2)
    goodput, replies = await served(3 * PEAK, 60)
    assert goodput >= 0.9 * peak
    assert {reply.status for reply, _ in replies} == {200, 503}
    admitted = sorted(took for reply, took in replies if reply.status == 200)
    assert admitted[len(admitted) // 2] <= 6 * SERVICE_SECONDS, "nobody waits in a queue that only grows"
    await served(PEAK / 2, 10)
    _, after = await served(PEAK / 2, 5)
    assert {reply.status for reply, _ in after} == {200}, "no trace of the overload is left"
    slow = admitted[len(admitted) * 99 // 100]
    print(f"{peak:.0f}/s at most, {goodput:.0f}/s at three times as much, p99 of these {slow:.2f} s")


@pytest.mark.parametrize("status", [500, 429])
async def test_a_minute_of_failures_is_no_storm(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str], status: int
) -> None:
    """Then the same with a fallback that is well."""
    loop = asyncio.get_running_loop()
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = says(whole(b"{}", status))
    end, asked = loop.time() + 60, 0
    while loop.time() < end:
        statuses = await providers.ask(100)
        asked += statuses.total()
        assert 200 not in statuses
    assert len(providers.first.received) <= 1.2 * asked
    await route(providers, backend_server[1], second_server[1], WITH_FALLBACK)
    end, statuses = loop.time() + 10, Counter()
    while loop.time() < end:
        statuses += await providers.ask(100)
    assert statuses[200] >= 0.999 * statuses.total()
    assert Counter(filter(None, await providers.billed())) == {15_000: statuses[200]}


async def test_hedging_cuts_the_tail_of_ten_thousand_calls(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str]
) -> None:
    calls, every = 10_000, 500
    worst = calls - calls // 1000
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = tail(every, [])
    unhedged = (await latencies(providers, calls))[worst]
    assert unhedged >= TAIL_SECONDS, "the planted tail is seen without hedging"
    hedged = model("gpt", target(priority=0), target("gpt", "other", priority=1), hedge_after_ms=HEDGE_AFTER_MS)
    await route(providers, backend_server[1], second_server[1], hedged)
    providers.first.handler = tail(every, [])
    providers.first.received.clear()
    assert (await latencies(providers, calls))[worst] <= unhedged / 2
    extra = len(providers.first.received) + len(providers.second.received) - calls
    assert 0 < extra <= 0.05 * calls
    assert await providers.billed() == [15_000] * (2 * calls)
