"""The memory of a gateway stays flat under a long mixed load. `OMNI_SOAK_SECONDS` says how long; an hour unless set."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import orjson
import psutil
import pytest

from omni.contracts import redis_names
from omni.contracts.routes import RouteTable
from tests.bars.processes import Fleet
from tests.gateway.cache.support import cached_tenant
from tests.gateway.providers import CHAT, PRICES, budget, model, provider, target
from tests.gateway.support import Client, ControlPlane, RedisServer, Tenant, request, stranger

SECONDS = float(os.environ.get("OMNI_SOAK_SECONDS", "3600"))
WARM_UP_SECONDS = min(600.0, SECONDS / 3)
SAMPLE_SECONDS = min(30.0, SECONDS / 30)
CALLERS = 12
GROWTH_MB_PER_HOUR = 5.0
NOISE_MB = 1.0
"""What a run that is much shorter than an hour may show without proving anything."""
MOST_MB = 150.0
KNOWN_LIMIT = 500
"""What the gateway remembers of keys is full soon, so that it is not taken for growth."""
KINDS = ("whole", "stream", "hang-up", "hang-up before the answer", "cached", "refused key", "refused rate", "no model")

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 300)]


class Mixed:
    """Callers who do all kinds of things in an order that a seed sets."""

    def __init__(self, port: int, plain: Tenant, cached: Tenant, slow: Tenant) -> None:
        self._port = port
        self._tenants = {"cached": cached, "refused rate": slow}
        self._plain = plain
        self._numbers = itertools.count()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.stopping = False

    async def run(self, seed: int) -> None:
        random = Random(seed)
        while not self.stopping:
            kind = random.choice(KINDS)
            client = await Client.connect(self._port)
            try:
                async with asyncio.timeout(30):
                    for _ in range(random.randint(1, 8)):
                        if not await self._one(client, kind, random):
                            break
            finally:
                client.abort() if "hang-up" in kind else client.close()

    async def _one(self, client: Client, kind: str, random: Random) -> bool:
        """One request; whether the connection can take another one."""
        text = f"question {random.randrange(500) if kind == 'cached' else next(self._numbers)} " * 20
        streamed = "hang-up" in kind or kind == "stream" or (kind == "cached" and random.random() < 0.5)
        fields = {"model": "nothing" if kind == "no model" else "gpt", "stream": streamed, "max_tokens": 200}
        body = orjson.dumps({**fields, "messages": [{"role": "user", "content": text}]})
        secret = stranger() if kind == "refused key" else self._tenants.get(kind, self._plain).secret
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        client.send(request("POST", CHAT, headers, body))
        if kind == "hang-up before the answer":
            await client.writer.drain()
            self.statuses[kind, 0] += 1
            return False
        if kind == "hang-up":
            head = await client.head()
            assert head.status == 200, head
            await client.chunk()
            self.statuses[kind, head.status] += 1
            return False
        reply = await client.reply()
        assert reply.complete, kind
        self.statuses[kind, reply.status] += 1
        return reply.headers.get("connection") != "close"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line through the points, by least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    below: float = sum((x - mean_x) ** 2 for x, _ in points)
    return above / below


async def published(control: ControlPlane, url: str) -> tuple[Tenant, Tenant, Tenant]:
    """The catalogue, and tenants: one with all limits, one with a response cache, one with hardly any requests."""
    table = RouteTable({"gpt": model("gpt", target())}, {"openai": replace(provider(url), sealed_key="")})
    await control.redis.set(redis_names.PRICES, PRICES.to_json())
    await control.redis.set(redis_names.ROUTES, table.to_json())
    plain = await control.tenant(tokens_per_minute=10**10, concurrent_requests=10_000, requests_per_month=10**10)
    await budget(control, plain, credit_nanos=2**52)
    cached = await cached_tenant(control, cache_seconds=20)
    return plain, cached, await control.tenant(requests_per_minute=60, request_burst=1)


async def forget_events(control: ControlPlane) -> None:
    """Nobody drains the streams here, and Redis is not what is looked at."""
    for number in range(redis_names.PARTITIONS):
        await control.redis.xtrim(redis_names.usage_stream(number), maxlen=0, approximate=False)


async def test_the_memory_of_a_gateway_does_not_grow(
    own_redis: RedisServer, own_control: ControlPlane, fleet: Fleet
) -> None:
    _, url = await fleet.upstream()
    tenants = await published(own_control, url)
    process, port = await fleet.start(own_redis.url, url, snapshot_entries_limit=KNOWN_LIMIT)
    load = Mixed(port, *tenants)
    callers = [asyncio.create_task(load.run(seed)) for seed in range(CALLERS)]
    loop = asyncio.get_running_loop()
    begun, samples, memory = loop.time(), [], psutil.Process(process.pid)
    try:
        while (after := loop.time() - begun) < SECONDS:
            assert not [caller for caller in callers if caller.done()], [caller for caller in callers if caller.done()]
            samples.append((after, memory.memory_info().rss / 1e6))
            await forget_events(own_control)
            await asyncio.sleep(SAMPLE_SECONDS)
    finally:
        load.stopping = True
        await asyncio.gather(*callers)
    steady = [(at / 3600, megabytes) for at, megabytes in samples if at >= WARM_UP_SECONDS]
    growth = slope(steady)
    requests = sum(load.statuses.values())
    print(
        f"{requests} requests, {steady[0][1]:.1f} to {steady[-1][1]:.1f} MB, {growth:+.2f} MB an hour: {load.statuses}"
    )
    assert {kind for kind, _ in load.statuses} == set(KINDS)
    assert {("refused key", 401), ("refused rate", 429), ("no model", 404), ("cached", 200)} <= load.statuses.keys()
    assert max(megabytes for _, megabytes in samples) <= MOST_MB
    hours = steady[-1][0] - steady[0][0]
    assert growth * hours <= max(GROWTH_MB_PER_HOUR * hours, NOISE_MB), samples
