"""Redis down, stalled, emptied; a gateway killed. Nothing is lost and nothing counted twice."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from omni.apps.embedded.launch import free_port
from omni.contracts import redis_names
from omni.contracts.usage import UsageEvent
from omni.gateway.app import Gateway
from omni.kit.ids import uuid7
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway, _control, make_config
from tests.gateway.support import (
    EMBEDDINGS,
    ControlPlane,
    FakeBackend,
    Received,
    RecordingLogger,
    RedisServer,
    Reply,
    Tenant,
    answer,
    ask,
    embed,
    eventually,
    stranger,
)


def spooled(folder: Path) -> list[UsageEvent]:
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    return [UsageEvent.from_json(orjson.dumps(orjson.loads(line)["event"])) for line in lines]


async def wait_down(gateway: Gateway) -> None:
    async def down() -> bool:
        return not gateway.checks()["redis"]

    await eventually(down)


async def wait_served(gateway: Gateway, tenant: Tenant) -> Reply:
    async def served() -> Reply | None:
        reply = await embed(gateway.ports.public, tenant)
        return reply if reply.status == 200 else None

    found: Reply = await eventually(served)
    return found


async def restart(server: RedisServer, tenant: Tenant) -> ControlPlane:
    """The same Redis, empty, with everything published again."""
    server.start()
    control = await _control(server)
    await control.publish(tenant)
    return control


async def test_known_keys_are_served_from_an_allowance_and_events_replayed_once(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway, tmp_path: Path
) -> None:
    tenant = await own_control.tenant(requests_per_month=1000)
    gateway = await start_gateway(own_redis.url)
    port, spool = gateway.ports.public, tmp_path / "spool"
    assert (await embed(port, tenant)).status == 200
    own_redis.stop()
    await wait_down(gateway)
    replies = [await embed(port, tenant) for _ in range(15)]
    assert Counter(reply.status for reply in replies) == {200: 10, 503: 5}
    assert code(replies[-1]) == "limits_unavailable"
    assert int(replies[-1].headers["retry-after"]) >= 1
    assert code(await ask(port, "POST", EMBEDDINGS, {"x-api-key": stranger()})) == "snapshots_unavailable"
    assert (await ask(port, "GET", "/readyz")).status == 503
    served = {reply.headers["x-request-id"] for reply in replies if reply.status == 200}
    assert {str(event.event_id) for event in spooled(spool)} == served
    control = await restart(own_redis, tenant)
    events = await control.wait_events(tenant.key.tenant_id, 11)  # ten spooled, and the one before the stop again

    async def emptied() -> bool:
        return not spooled(spool)

    await eventually(emptied)
    assert served <= {str(event.event_id) for event in events}
    assert len(await control.events(tenant.key.tenant_id)) == 11
    await wait_served(gateway, tenant)
    await control.redis.aclose()


async def test_the_rate_holds_without_redis(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway
) -> None:
    tenant = await own_control.tenant(requests_per_minute=6, request_burst=8)
    gateway = await start_gateway(own_redis.url, processes=2)
    assert (await embed(gateway.ports.public, tenant)).status == 200
    own_redis.stop()
    await wait_down(gateway)
    replies = await asyncio.gather(*(embed(gateway.ports.public, tenant) for _ in range(20)))
    assert Counter(reply.status for reply in replies) == {200: 4, 429: 16}, "this process's half of the burst"
    assert all("retry-after" in reply.headers for reply in replies if reply.status == 429)


async def test_a_stalled_redis_delays_nobody_for_long(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway
) -> None:
    tenant = await own_control.tenant()
    gateway = await start_gateway(own_redis.url)
    assert (await embed(gateway.ports.public, tenant)).status == 200
    own_redis.signal(signal.SIGSTOP)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert (await embed(gateway.ports.public, tenant)).status == 200
    assert loop.time() - start < 2
    start = loop.time()
    assert (await embed(gateway.ports.public, tenant)).status == 200
    assert loop.time() - start < 0.2, "known to be away: no more waiting"
    own_redis.signal(signal.SIGCONT)
    events = await own_control.wait_events(tenant.key.tenant_id, 3)
    assert len({event.event_id for event in events}) == 3

    async def nothing_held() -> bool:
        return await own_control.holds(tenant.key.tenant_id) == 0

    await eventually(nothing_held)


async def test_counters_that_are_not_rebuilt_yet(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway
) -> None:
    tenant = await own_control.tenant(requests_per_month=5000)
    gateway = await start_gateway(own_redis.url, outage_allowance_floor=3)
    ready = redis_names.counters_ready(redis_names.partition_of(tenant.key.tenant_id))
    await own_control.redis.delete(ready)
    replies = [await embed(gateway.ports.public, tenant) for _ in range(7)]
    assert [reply.status for reply in replies] == [200] * 5 + [503] * 2, "0.1 % of the quota"
    assert code(replies[-1]) == "limits_unavailable"
    assert len(await own_control.events(tenant.key.tenant_id)) == 5, "Redis takes the events all the same"
    await own_control.redis.set(ready, 1)
    assert (await embed(gateway.ports.public, tenant)).status == 200


async def test_what_dead_gateways_left_is_adopted(
    own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway, tmp_path: Path
) -> None:
    tenant = await own_control.tenant()
    key = tenant.key
    events = [
        UsageEvent(
            uuid7(), key.tenant_id, key.project_id, key.key_id, "live", 1_700_000_000_000_000, "POST /x", "", 200, 5, {}
        )
        for _ in range(250)
    ]
    spool = tmp_path / "spool"
    spool.mkdir()
    lines = [event.to_json() for event in events]
    (spool / "1-dead.jsonl").write_bytes(b"\n".join(lines[:200]) + b"\nnot an event\n" + lines[200][:40])
    (spool / "2-alive.jsonl").write_bytes(b"\n".join(lines[201:]) + b"\n")
    with (spool / "2-alive.jsonl").open("rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        await start_gateway(own_redis.url)
        found = await own_control.wait_events(key.tenant_id, 200)

        async def only_the_living_left() -> bool:
            return [path.name for path in spool.glob("*.jsonl")] == ["2-alive.jsonl"]

        await eventually(only_the_living_left)
    assert {event.event_id for event in found} == {event.event_id for event in events[:200]}
    assert (spool / "1-dead.rejected").read_bytes() == b"not an event\n"


async def test_a_killed_gateway_leaves_its_hold_for_the_reaper(
    own_redis: RedisServer,
    own_control: ControlPlane,
    backend: FakeBackend,
    backend_server: tuple[FakeBackend, str],
    tmp_path: Path,
) -> None:
    tenant = await own_control.tenant()
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.gateway.serve",
            str(port),
            own_redis.url,
            backend_server[1],
            str(tmp_path / "spool"),
        ],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    try:
        asked = asyncio.Event()

        async def silent(_: Received, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await writer.wait_closed()

        async def listening() -> bool:
            try:
                return (await ask(port, "GET", "/readyz")).status == 200
            except OSError:
                return False

        await eventually(listening, 10)
        assert (await embed(port, tenant)).status == 200
        assert await own_control.holds(tenant.key.tenant_id) == 0
        backend.handler = silent
        request = asyncio.create_task(embed(port, tenant))
        await asked.wait()
        assert await own_control.holds(tenant.key.tenant_id) == 1
    finally:
        process.kill()
        process.wait(10)
    (outcome,) = await asyncio.gather(request, return_exceptions=True)
    assert isinstance(outcome, (asyncio.IncompleteReadError, ConnectionError))
    data = redis_names.holds_data(redis_names.partition_of(tenant.key.tenant_id))
    holds: Any = await own_control.redis.hgetall(data)
    ((request_hex, held),) = holds.items()
    event = UsageEvent.from_json(held.splitlines()[0])
    assert event.event_id.hex == request_hex.decode()
    assert (event.status, event.quantities, event.tenant_id) == (0, {"requests": 1}, tenant.key.tenant_id)


async def test_a_full_disk_without_redis_answers_an_error(
    own_redis: RedisServer,
    own_control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    backend: FakeBackend,
    tmp_path: Path,
) -> None:
    tenant = await own_control.tenant()
    spool = tmp_path / "spool"
    gateway = Gateway(make_config(own_redis.url, backend_server[1], spool), CollectorRegistry(), RecordingLogger())
    await gateway.start()

    async def fine(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())

    backend.handler = fine
    assert (await embed(gateway.ports.public, tenant)).status == 200
    own_redis.stop()
    await wait_down(gateway)
    spool.rmdir()
    spool.write_bytes(b"in the way")
    reply = await embed(gateway.ports.public, tenant)
    assert (reply.status, code(reply)) == (503, "limits_unavailable")
    spool.unlink()
    spool.mkdir()
    assert (await embed(gateway.ports.public, tenant)).status == 200
    await gateway.drain(0.2)
    assert len(spooled(spool)) == 1
