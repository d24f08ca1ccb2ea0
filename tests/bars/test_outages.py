"""T15 and R4: Redis gone, stalled or empty; backend or provider stopped. Nobody waits long, nothing is overspent."""

from __future__ import annotations

import asyncio
import signal
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from unittest.mock import patch

import pytest

from omni.contracts import redis_names
from omni.contracts.routes import Provider
from omni.domains.metering.service import stream as metering
from omni.gateway.admission.outage import OutageLimits
from omni.gateway.app import Gateway
from tests.bars.load import Load, during
from tests.bars.processes import Fleet
from tests.bars.test_money import CEILING, PRICE, limited, spent
from tests.gateway.access.test_auth import code
from tests.gateway.admission.test_outage import wait_down
from tests.gateway.conftest import StartGateway, _control
from tests.gateway.providers import budget, chat, completion, model, provider, publish, says, target, whole
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer, Reply, Tenant, embed, eventually
from tests.simulation.postgres import SimPostgres

PER_MINUTE, BURST = 1_200, 10
OUTAGE_SECONDS = 2.0


async def kill(server: RedisServer, _: ControlPlane) -> None:
    server.stop()


async def stall(server: RedisServer, _: ControlPlane) -> None:
    server.signal(signal.SIGSTOP)


async def flush(_: RedisServer, control: ControlPlane) -> None:
    await control.redis.flushall()


async def under_load(
    server: RedisServer, control: ControlPlane, gateway: Gateway, tenant: Tenant,
    fault: Callable[[RedisServer, ControlPlane], Awaitable[None]],
) -> tuple[Load, float, float]:  # fmt: skip
    """Three times the rate is asked, before and during the fault: answers, and when the fault began and ended."""
    load, loop = Load(), asyncio.get_running_loop()
    times: list[float] = []

    async def breaks() -> None:
        await asyncio.sleep(1.0)
        times.append(loop.time())
        await fault(server, control)
        await asyncio.sleep(OUTAGE_SECONDS)
        times.append(loop.time())

    await during(load, load.run(gateway.ports.public, tenant, 8, 3 * PER_MINUTE / 60), breaks)
    return load, times[0], times[1]


@pytest.mark.parametrize("fault", [kill, stall, flush])
async def test_without_redis_the_rate_holds_and_nobody_waits_long(
    fault: Callable[[RedisServer, ControlPlane], Awaitable[None]], own_redis: RedisServer, own_control: ControlPlane,
    backend: FakeBackend, start_gateway: StartGateway,
) -> None:  # fmt: skip
    gateway = await start_gateway(own_redis.url)
    tenant = await own_control.tenant(requests_per_minute=PER_MINUTE, request_burst=BURST)
    load, began, ended = await under_load(own_redis, own_control, gateway, tenant, fault)
    before = [answer.seconds for answer in load.answers if answer.at < began - 0.2]
    meanwhile = [answer for answer in load.answers if began <= answer.at < ended]
    assert {answer.status for answer in meanwhile} <= {200, 429}
    assert statistics.median(a.seconds for a in meanwhile) <= 5 * statistics.median(before) + 0.02
    assert max(answer.seconds for answer in meanwhile) <= 1.5
    admitted = sum(answer.status == 200 for answer in meanwhile)
    expected = PER_MINUTE / 60 * (ended - began)
    assert 0.75 * expected <= admitted <= 1.25 * expected + BURST
    if fault is stall:
        own_redis.signal(signal.SIGCONT)


async def test_without_local_limits_the_rate_does_not_hold(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(OutageLimits, "admit", lambda *_: b"")
    gateway = await start_gateway(own_redis.url)
    tenant = await own_control.tenant(requests_per_minute=PER_MINUTE, request_burst=BURST)
    load, began, ended = await under_load(own_redis, own_control, gateway, tenant, kill)
    admitted = sum(answer.status == 200 for answer in load.answers if began <= answer.at < ended)
    assert admitted > 1.25 * PER_MINUTE / 60 * (ended - began) + BURST


async def paying(
    start_gateway: StartGateway, server: RedisServer, control: ControlPlane, backend: FakeBackend, url: str
) -> tuple[Gateway, Tenant]:
    gateway = await start_gateway(server.url)
    await publish(control, gateway, [provider(url)], [model("gpt", target())])
    backend.handler = says(whole(completion(read=30, written=5)))
    tenant = await limited(control, "wallet", 20 * CEILING)
    assert (await chat(gateway.ports.public, tenant, max_tokens=5)).status == 200
    return gateway, tenant


async def test_money_stops_within_the_allowance(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    start_gateway: StartGateway,
) -> None:  # fmt: skip
    gateway, tenant = await paying(start_gateway, own_redis, own_control, backend, backend_server[1])
    own_redis.stop()
    await wait_down(gateway)
    calls = (chat(gateway.ports.public, tenant, max_tokens=5) for _ in range(100))
    replies = await asyncio.gather(*calls)
    statuses = Counter(reply.status for reply in replies)
    assert statuses.keys() == {200, 503}
    assert {code(reply) for reply in replies if reply.status == 503} == {"limits_unavailable"}
    assert 0 < statuses[200] * PRICE <= 20 * CEILING // 100 + PRICE, "one per cent of what was left"


async def test_after_an_empty_redis_counters_are_the_truth_within_seconds(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    start_gateway: StartGateway,
) -> None:  # fmt: skip
    gateway, tenant = await paying(start_gateway, own_redis, own_control, backend, backend_server[1])
    postgres = SimPostgres(asyncio.sleep)
    with patch.object(metering, "repository", postgres):
        drain = metering.Drain(own_control.redis, postgres.session, "one")
        await drain.prepare()

        async def drained(count: int) -> bool:
            if entries := await drain.read(1_000, 1):
                await drain.store(entries)
            return len(postgres.events) >= count

        await eventually(lambda: drained(1))
        own_redis.stop()
        await wait_down(gateway)
        replies = [await chat(gateway.ports.public, tenant, max_tokens=5) for _ in range(3)]
        served = 1 + sum(reply.status == 200 for reply in replies)
        loop = asyncio.get_running_loop()
        own_redis.start()
        back_at = loop.time()
        control = await _control(own_redis)
        for partition in range(redis_names.PARTITIONS):
            await control.redis.delete(redis_names.counters_ready(partition))
        await limited_again(control, tenant)
        drain = metering.Drain(control.redis, postgres.session, "one")
        await drain.prepare()
        await eventually(lambda: drained(served))
        counters = metering.Counters(control.redis)
        missing = await counters.partitions_not_ready()
        await counters.rebuild(postgres, missing, datetime.now(UTC))  # type: ignore[arg-type]

    async def served_by_redis() -> bool:
        return (await chat(gateway.ports.public, tenant, max_tokens=5)).status == 200 and gateway.checks()["redis"]

    await eventually(served_by_redis)
    assert loop.time() - back_at <= 5
    key = redis_names.spend_key(tenant.key.tenant_id, tenant.key.tenant_id, "live", "all")
    truth = sum(event.quantities.get("spend_nanos", 0) for event in postgres.events.values())
    assert truth == served * PRICE
    since = await spent(control, tenant)
    assert since > 0
    assert int(await control.redis.get(key) or 0) == truth + since
    await control.redis.aclose()


async def limited_again(control: ControlPlane, tenant: Tenant) -> None:
    """What the worker publishes again after a flush."""
    await control.publish(tenant)
    await budget(control, tenant, credit_nanos=20 * CEILING)


# --- R4 ---

TIMEOUT_SECONDS = 1.0
SLACK_SECONDS = 0.4
"""For a busy machine, on top of the tenth of a second that the bar grants."""


@pytest.mark.parametrize("victim", ["redis", "backend", "provider"])
async def test_no_request_outlives_its_deadline_and_all_is_well_soon_after(
    victim: str, own_redis: RedisServer, own_control: ControlPlane, fleet: Fleet, start_gateway: StartGateway
) -> None:
    process, url = await fleet.upstream()
    gateway = await start_gateway(own_redis.url, backend_urls=(url,), request_timeout_seconds=TIMEOUT_SECONDS)
    await publish(own_control, gateway, [Provider("openai", "openai", f"{url}/v1")], [model("gpt", target())])
    tenant = await own_control.tenant()
    port = gateway.ports.public

    async def call() -> Reply:
        return await (chat(port, tenant) if victim == "provider" else embed(port, tenant))

    assert (await call()).status == 200
    stop = own_redis.signal if victim == "redis" else process.send_signal
    loop = asyncio.get_running_loop()
    stop(signal.SIGSTOP)
    try:
        started = loop.time()
        replies = await asyncio.gather(*(call() for _ in range(20)))
        assert loop.time() - started <= TIMEOUT_SECONDS + 0.1 + SLACK_SECONDS
        assert {reply.status for reply in replies} <= ({200} if victim == "redis" else {503, 504})
    finally:
        stop(signal.SIGCONT)
    went_on = loop.time()

    async def well() -> bool:
        return (await call()).status == 200 and gateway.checks()["redis"]

    await eventually(well, 5)
    assert loop.time() - went_on <= 5


async def test_without_a_deadline_a_request_outlives_it(
    own_redis: RedisServer, own_control: ControlPlane, fleet: Fleet, start_gateway: StartGateway
) -> None:
    """The planted fault: a gateway that does not look at deadlines."""
    process, url = await fleet.upstream()
    gateway = await start_gateway(own_redis.url, backend_urls=(url,), request_timeout_seconds=0.3)
    tenant = await own_control.tenant()
    assert (await embed(gateway.ports.public, tenant)).status == 200
    with patch.object(gateway._backends, "sweep", lambda _: None):
        process.send_signal(signal.SIGSTOP)
        asked = asyncio.create_task(embed(gateway.ports.public, tenant))
        await asyncio.wait([asked], timeout=0.3 + 0.1 + SLACK_SECONDS)
        assert not asked.done()
    process.send_signal(signal.SIGCONT)
    await asked
