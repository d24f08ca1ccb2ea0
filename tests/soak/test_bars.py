"""The bars of `tests/bars`, for longer: `make soak`."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from omni.domains.metering.service import Counters
from tests.bars.processes import Fleet
from tests.bars.test_fleet import flood, prepare, rolling
from tests.bars.test_money import CEILING, PRICE, limited, spent, start
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import DONE, chat, delta, streams, usage_event
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer

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
