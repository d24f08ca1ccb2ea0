"""R5, R7 and the deadline of R13: a provider that fails, is slow, or has no time left."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from omni.contracts.routes import ModelRoute
from omni.gateway.app import Gateway
from omni.gateway.routing import health
from omni.gateway.routing.health import RetryBudget
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import chat, completion, model, provider, publish, says, target, whole
from tests.gateway.support import ControlPlane, FakeBackend, Received, RedisServer, Tenant, eventually

CALLS = 400
AT_ONCE = 20


@dataclass(slots=True)
class Providers:
    """Two providers behind one gateway."""

    gateway: Gateway
    control: ControlPlane
    first: FakeBackend
    second: FakeBackend
    tenant: Tenant

    async def ask(self, calls: int = CALLS, at_once: int = AT_ONCE, **headers: str) -> Counter[int]:
        turn = asyncio.Semaphore(at_once)
        lines = {name.replace("_", "-"): value for name, value in headers.items()}

        async def call() -> int:
            async with turn:
                return (await chat(self.gateway.ports.public, self.tenant, headers=lines)).status

        return Counter(await asyncio.gather(*(call() for _ in range(calls))))

    async def billed(self) -> list[int]:
        """What each event charges, of each request once."""
        events = await self.control.events(self.tenant.key.tenant_id)
        assert len({event.event_id for event in events}) == len(events)
        return [event.quantities.get("spend_nanos", 0) for event in events]


@pytest.fixture
async def second_server() -> Any:
    server = FakeBackend()
    url = await server.start()
    yield server, url
    await server.stop()


@pytest.fixture
async def providers(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    second_server: tuple[FakeBackend, str], start_gateway: StartGateway,
) -> Providers:  # fmt: skip
    gateway = await start_gateway(shared_redis.url)
    made = Providers(gateway, control, backend, second_server[0], await control.tenant())
    made.second.handler = says(whole(completion()))
    return made


async def route(providers: Providers, first: str, second: str, one: ModelRoute) -> None:
    await publish(providers.control, providers.gateway, [provider(first), provider(second, "other")], [one])


PLAIN = model("gpt", target())
WITH_FALLBACK = model("gpt", target(priority=0), target("gpt", "other", priority=1))


@pytest.mark.parametrize("status", [500, 429])
async def test_a_provider_that_always_fails_is_not_stormed(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str], status: int
) -> None:
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = says(whole(b"{}", status))
    statuses = await providers.ask()
    assert 200 not in statuses
    assert len(providers.first.received) <= 1.2 * CALLS / 4, "the breaker or the cool-down leaves it alone"
    assert set(await providers.billed()) <= {0}


async def test_without_breaker_and_budget_it_is_stormed(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(health, "FAILURES_TO_OPEN", 10**9)
    monkeypatch.setattr(health.TargetHealth, "_half_failed", lambda _: False)
    monkeypatch.setattr(RetryBudget, "take", lambda _: True)
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = says(whole(b"{}", 500))
    await providers.ask()
    assert len(providers.first.received) > 1.2 * CALLS


async def test_without_the_breaker_retries_stay_within_their_budget(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(health, "FAILURES_TO_OPEN", 10**9)
    monkeypatch.setattr(health.TargetHealth, "_half_failed", lambda _: False)
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = says(whole(b"{}", 500))
    await providers.ask()
    assert CALLS <= len(providers.first.received) <= 1.2 * CALLS + 3, "a fifth, and three to begin with"


async def test_a_breaker_opens_at_once_and_lets_one_probe_through(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(health, "_OPEN_FIRST_SECONDS", 0.4)
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = says(whole(b"{}", 500))
    started = asyncio.get_running_loop().time()
    states = providers.gateway._attempts.health
    while states.of("gpt@openai").breaker_state != "open":
        await providers.ask(1)
    assert asyncio.get_running_loop().time() - started <= 2
    release = asyncio.Event()

    async def probed(_: Received, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(whole(completion()))

    providers.first.handler = probed
    while not states.of("gpt@openai").usable(asyncio.get_running_loop().time()):
        await asyncio.sleep(0.01)
    before = len(providers.first.received)
    asked = asyncio.create_task(providers.ask(30, at_once=30))
    while len(providers.first.received) == before:
        await asyncio.sleep(0.01)
    assert states.of("gpt@openai").breaker_state == "half_open"
    await asyncio.sleep(0.1)
    assert len(providers.first.received) == before + 1, "one probe"
    release.set()
    statuses = await asked
    assert statuses == {200: 1, 503: 29}
    assert await providers.ask(20) == {200: 20}


@pytest.mark.parametrize("status", [500, 429])
async def test_a_healthy_fallback_serves_and_nothing_is_billed_twice(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str], status: int
) -> None:
    await route(providers, backend_server[1], second_server[1], WITH_FALLBACK)
    providers.first.handler = says(whole(b"{}", status))
    statuses = await providers.ask()
    assert statuses[200] >= 0.999 * CALLS
    billed = await providers.billed()
    assert billed == [15_000] * CALLS


async def test_without_fallback_the_same_calls_fail(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str]
) -> None:
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = says(whole(b"{}", 500))
    assert (await providers.ask())[200] < 0.999 * CALLS


# --- hedging ---

TAIL_EVERY, TAIL_SECONDS, HEDGE_AFTER_MS = 50, 2.0, 100


def tail(every: int, left: list[int]) -> Any:
    """One in `every` first tries takes long; what is cut off meanwhile is counted in `left`."""
    number = 0

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        number += 1
        if number % every == 0:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            for _turn in range(int(TAIL_SECONDS / 0.02)):
                await asyncio.sleep(0.02)
                writer.write(b"x-wait: 1\r\n")  # half a head is no beginning of an answer
                if writer.is_closing():
                    left.append(number)
                    return
            writer.write(whole(completion()).partition(b"\r\n")[2])
            return
        writer.write(whole(completion()))

    return handler


async def latencies(providers: Providers, calls: int) -> list[float]:
    loop, turn = asyncio.get_running_loop(), asyncio.Semaphore(10)

    async def call() -> float:
        async with turn:
            started = loop.time()
            assert (await chat(providers.gateway.ports.public, providers.tenant)).status == 200
            return loop.time() - started

    return sorted(await asyncio.gather(*(call() for _ in range(calls))))


async def test_hedging_cuts_the_tail_and_costs_little(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str]
) -> None:
    calls, left = 400, []  # type: tuple[int, list[int]]
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = tail(TAIL_EVERY, [])
    worst = (await latencies(providers, calls))[-2]
    assert worst >= TAIL_SECONDS, "the planted tail is seen without hedging"
    hedged = model("gpt", target(priority=0), target("gpt", "other", priority=1), hedge_after_ms=HEDGE_AFTER_MS)
    await route(providers, backend_server[1], second_server[1], hedged)
    providers.first.handler = tail(TAIL_EVERY, left)
    providers.first.received.clear()
    assert (await latencies(providers, calls))[-2] <= worst / 2
    extra = len(providers.first.received) + len(providers.second.received) - calls
    assert 0 < extra <= 0.05 * calls

    async def every_loser_is_cut_off() -> bool:
        return len(left) == calls // TAIL_EVERY

    await eventually(every_loser_is_cut_off)
    assert await providers.billed() == [15_000] * (2 * calls)


async def test_hedging_stops_by_itself_when_all_are_slow(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str]
) -> None:
    calls = 200
    hedged = model("gpt", target(priority=0), target("gpt", "other", priority=1), hedge_after_ms=10)
    await route(providers, backend_server[1], second_server[1], hedged)

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(whole(completion()))

    providers.first.handler = providers.second.handler = slow
    assert await providers.ask(calls, at_once=50) == {200: calls}
    extra = len(providers.first.received) + len(providers.second.received) - calls
    assert extra <= 0.05 * calls + 3


async def test_hedges_without_a_budget_do_not_stop(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(RetryBudget, "take", lambda _: True)
    hedged = model("gpt", target(priority=0), target("gpt", "other", priority=1), hedge_after_ms=10)
    await route(providers, backend_server[1], second_server[1], hedged)

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(whole(completion()))

    providers.first.handler = providers.second.handler = slow
    await providers.ask(100, at_once=50)
    assert len(providers.first.received) + len(providers.second.received) > 1.05 * 100 + 3


# --- deadlines ---


async def test_a_provider_is_told_how_long_the_client_waits(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str]
) -> None:
    await route(providers, backend_server[1], second_server[1], PLAIN)
    providers.first.handler = says(whole(completion()))
    assert await providers.ask(1, omni_timeout_ms="2000") == {200: 1}
    assert await providers.ask(1) == {200: 1}
    told = [int(received.headers["x-request-timeout-ms"]) for received in providers.first.received]
    assert 0 < told[0] <= 2_000 < told[1]


async def test_a_client_gets_its_answer_when_its_time_is_over(
    providers: Providers, backend_server: tuple[FakeBackend, str], second_server: tuple[FakeBackend, str]
) -> None:
    await route(providers, backend_server[1], second_server[1], PLAIN)

    async def silent(_: Received, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    providers.first.handler = silent
    started = asyncio.get_running_loop().time()
    assert await providers.ask(20, omni_timeout_ms="300") == {504: 20}
    assert asyncio.get_running_loop().time() - started < 1.5
