"""How many time series a gateway has does not depend on how many tenants it serves."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.conftest import StartGateway
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer, ask, embed
from tools.metric_lint import findings

AT_ONCE = 20


async def series_after(tenants: int, redis: RedisServer, control: ControlPlane, start: StartGateway) -> int:
    gateway = await start(redis.url)
    limit = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with limit:
            tenant = await control.tenant(requests_per_minute=1_000)
            assert (await embed(gateway.ports.public, tenant)).status == 200

    await asyncio.gather(*(one() for _ in range(tenants)))
    scrape = (await ask(gateway.ports.metrics, "GET", "/metrics")).body.decode()
    await gateway.drain(1)
    assert findings(scrape) == []
    return sum(len(family.samples) for family in text_string_to_metric_families(scrape))


async def test_a_thousand_tenants_make_as_many_series_as_ten(
    backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway
) -> None:
    few = await series_after(10, shared_redis, control, start_gateway)
    assert await series_after(1_000, shared_redis, control, start_gateway) == few
    assert len(backend.received) == 1_010
