"""Bars over several gateway processes: T14 one rate over all, R3 rolling restarts, S4 what is revoked is refused."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson

from omni.apps.embedded.launch import free_port
from omni.contracts import redis_names
from omni.contracts.routes import Provider
from omni.contracts.snapshots import TenantSnapshot
from tests.bars.load import Load, during
from tests.bars.processes import Fleet, ready
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import CHAT, delta, model, publish, streams, target
from tests.gateway.support import (
    ControlPlane,
    FakeBackend,
    RedisServer,
    Tenant,
    ask,
    embed,
    eventually,
)

# --- T14 ---


async def flood(
    fleet: Fleet, server: RedisServer, control: ControlPlane, url: str, seconds: float, gateways: int = 4
) -> tuple[int, float, int]:
    """Asks at twice the rate over all gateways: admitted, what the rate allows in the time, and the burst."""
    per_minute, burst = 3_000, 20
    ports = [(await fleet.start(server.url, url))[1] for _ in range(gateways)]
    tenant = await control.tenant(requests_per_minute=per_minute, request_burst=burst)
    load = Load()
    loop = asyncio.get_running_loop()
    started = loop.time()
    running = asyncio.gather(*(load.run(port, tenant, 8, 2 * per_minute / 60 / gateways) for port in ports))

    async def gathered() -> None:
        await running

    await during(load, gathered(), lambda: asyncio.sleep(seconds))
    asked_seconds = max(answer.at + answer.seconds for answer in load.answers) - started
    assert load.statuses().keys() <= {200, 429}
    return load.statuses()[200], asked_seconds * per_minute / 60, burst


async def test_four_gateways_at_twice_the_rate_admit_the_rate(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet,
) -> None:  # fmt: skip
    admitted, allowed, burst = await flood(fleet, own_redis, own_control, backend_server[1], 5.0)
    assert admitted <= allowed + burst
    assert admitted >= 0.99 * allowed, "not less either"


async def test_gateways_that_each_keep_the_rate_admit_too_many(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet,
) -> None:  # fmt: skip
    """The planted fault: without the counters each process falls back to a rate of its own."""
    for partition in range(redis_names.PARTITIONS):
        await own_control.redis.delete(redis_names.counters_ready(partition))
    admitted, allowed, burst = await flood(fleet, own_redis, own_control, backend_server[1], 1.5)
    assert admitted > allowed + burst


# --- R3 ---


async def roll(
    fleet: Fleet, settings: Callable[[], Awaitable[subprocess.Popen[bytes]]], old: subprocess.Popen[bytes],
    number: signal.Signals,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """A new process beside the old one, then the old one ends."""
    new = await settings()
    old.send_signal(number)
    await asyncio.get_running_loop().run_in_executor(None, old.wait, 20)
    return new


async def listening(control: ControlPlane, before: int) -> None:
    """Returns when one process more is subscribed: that is when it has started."""

    async def one_more() -> bool:
        rows: Any = await control.redis.pubsub_numsub(redis_names.INVALIDATE_CHANNEL)
        return int(rows[0][1]) > before

    await eventually(one_more, 15)
    await asyncio.sleep(0.3)


async def rolling(
    fleet: Fleet, server: RedisServer, control: ControlPlane, url: str, rounds: int, number: signal.Signals
) -> tuple[Load, list[bytes]]:
    """Replaces the one process behind a port again and again under load: every answer, and how the streams ended."""
    port = free_port()

    async def start() -> subprocess.Popen[bytes]:
        rows: Any = await control.redis.pubsub_numsub(redis_names.INVALIDATE_CHANNEL)
        process, _ = fleet.launch(server.url, url, port=port, drain_seconds=2.0, reuse_port=True)
        await listening(control, int(rows[0][1]))
        return process

    process = await start()
    await ready(port)
    tenant = await control.tenant()
    load, ends = Load(), []  # type: tuple[Load, list[bytes]]

    async def restarts() -> None:
        nonlocal process
        for _ in range(rounds):
            opened = [asyncio.create_task(stream(port, tenant)) for _ in range(10)]
            await asyncio.sleep(0.3)
            process = await roll(fleet, start, process, number)
            ends.extend(await asyncio.gather(*opened))

    await during(load, load.run(port, tenant, 16, 200), restarts)
    process.kill()
    return load, ends


async def stream(port: int, tenant: Tenant) -> bytes:
    body = orjson.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Hi"}], "stream": True})
    try:
        reply = await ask(port, "POST", CHAT, {**tenant.bearer, "content-type": "application/json"}, body)
    except (OSError, EOFError):
        return b""
    return reply.body if reply.complete else b""


async def prepare(
    start_gateway: StartGateway, server: RedisServer, control: ControlPlane, backend: FakeBackend, url: str
) -> asyncio.Event:
    """A provider without a key whose streams never end, and a backend that answers."""
    never = asyncio.Event()
    answering = backend.handler
    streaming = streams(delta("x" * 40), wait=never)

    async def either(received: Any, writer: asyncio.StreamWriter) -> None:
        await (streaming if received.target.endswith("completions") else answering)(received, writer)

    backend.handler = either
    gateway = await start_gateway(server.url)
    await publish(control, gateway, [Provider("openai", "openai", f"{url}/v1")], [model("gpt", target())])
    return never


async def test_rolling_restarts_lose_nothing(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet, start_gateway: StartGateway,
) -> None:  # fmt: skip
    never = await prepare(start_gateway, own_redis, own_control, backend, backend_server[1])
    load, ends = await rolling(fleet, own_redis, own_control, backend_server[1], 3, signal.SIGTERM)
    never.set()
    assert load.statuses().keys() == {200}
    assert len(load.answers) > 100
    assert all(b"server_shutdown" in end for end in ends)


async def test_processes_that_are_killed_lose_requests(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet, start_gateway: StartGateway,
) -> None:  # fmt: skip
    never = await prepare(start_gateway, own_redis, own_control, backend, backend_server[1])
    load, ends = await rolling(fleet, own_redis, own_control, backend_server[1], 1, signal.SIGKILL)
    never.set()
    assert load.statuses()[0] > 0
    assert not any(b"server_shutdown" in end for end in ends)


async def test_readiness_fails_before_the_door_is_shut(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(own_redis.url, drain_notice_seconds=0.5)
    port = gateway.ports.public
    await ready(port)
    draining = asyncio.create_task(gateway.drain(10))
    seen: list[str] = []

    async def shut() -> bool:
        try:
            seen.append(str((await ask(port, "GET", "/readyz")).status))
        except OSError:
            seen.append("shut")
        return seen[-1] == "shut"

    await eventually(shut)
    assert seen.count("503") > 1
    assert seen[-1] == "shut"
    await draining


# --- S4 ---


async def enforced(ports: list[int], tenant: Tenant, expected: str) -> float:
    """Seconds until every gateway refuses with this code."""
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def refused() -> bool:
        replies = await asyncio.gather(*(embed(port, tenant) for port in ports))
        return all(reply.status in (401, 403) and code(reply) == expected for reply in replies)

    await eventually(refused, 5)
    return loop.time() - started


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "revoked": ({"revoked": True}, "invalid_api_key"),
    "scope": ({"scopes": frozenset(("forecasts",))}, "scope_missing"),
    "network": ({"networks": ("10.0.0.0/8",)}, "address_not_allowed"),
}


async def two_gateways(fleet: Fleet, server: RedisServer, url: str, control: ControlPlane) -> tuple[list[int], Tenant]:
    ports = [(await fleet.start(server.url, url))[1] for _ in range(2)]
    tenant = await control.tenant()
    for port in ports:
        assert (await embed(port, tenant)).status == 200
    return ports, tenant


async def test_what_is_taken_away_is_refused_within_a_second(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet,
) -> None:  # fmt: skip
    ports, tenant = await two_gateways(fleet, own_redis, backend_server[1], own_control)
    for changes, expected in CHANGES.values():
        changed = replace(tenant.key, **changes)
        await own_control.redis.set(redis_names.key_snapshot(tenant.digest), changed.to_json())
        await own_control.invalidate(f"key {tenant.digest}")
        assert await enforced(ports, tenant, expected) <= 1.0
        await own_control.publish(tenant)
        await own_control.invalidate(f"key {tenant.digest}")
    row = TenantSnapshot(tenant.key.tenant_id, tenant.plan.code, active=False).to_json()
    await own_control.redis.set(redis_names.tenant_snapshot(tenant.key.tenant_id), row)
    await own_control.invalidate(f"tenant {tenant.key.tenant_id}")
    assert await enforced(ports, tenant, "tenant_suspended") <= 1.0


async def test_a_change_that_nobody_announces_is_not_seen_in_time(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    fleet: Fleet,
) -> None:  # fmt: skip
    """The planted fault: without the message the gateways believe what they know."""
    ports, tenant = await two_gateways(fleet, own_redis, backend_server[1], own_control)
    revoked = replace(tenant.key, revoked=True)
    await own_control.redis.set(redis_names.key_snapshot(tenant.digest), revoked.to_json())
    await asyncio.sleep(1.0)
    assert [(await embed(port, tenant)).status for port in ports] == [200, 200]
