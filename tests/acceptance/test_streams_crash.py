"""kill -9 of a gateway with open streams: what was streamed is billed, what was held is given back, the books agree."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
import pytest_asyncio
import redis

from omni.contracts import redis_names
from tests.acceptance.platform import Platform, until
from tests.acceptance.test_crash import no_differences
from tests.gateway.providers import CHAT, DONE, STREAM_HEAD, chunk, delta, usage_event
from tests.gateway.support import Client, FakeBackend, Received, eventually, request

STREAMS = 200
LEASE_SECONDS = 10
BACK_SECONDS = 60.0
LAG_SECONDS = 3.0
"""How old what is billed may be: streams are renewed once a second, on a machine that does other things too."""
MODEL, TEXT = "crash-test", "forty bytes of text, twenty times a turn "
PLAN = {
    "name": "Free", "description": "Room for many streams.", "public": True, "position": 0,
    "requests_per_minute": 100_000, "request_burst": 10_000, "tokens_per_minute": None, "requests_per_month": None,
    "compute_ms_per_month": None, "storage_bytes": None, "models": None, "concurrent_requests": 1_000,
}  # fmt: skip


class Speaker:
    """A provider that goes on speaking to everyone until it is told to end, and remembers when it said how much."""

    def __init__(self) -> None:
        self.said: dict[UUID, list[tuple[float, int]]] = {}
        self.ending = asyncio.Event()

    async def speak(self, received: Received, writer: asyncio.StreamWriter) -> None:
        said = self.said.setdefault(UUID(received.headers["x-request-id"]), [])
        writer.write(STREAM_HEAD)
        total = 0
        while not self.ending.is_set():
            total += len(TEXT)
            said.append((time.monotonic(), total))
            writer.write(chunk(delta(TEXT)))
            await writer.drain()
            try:
                await asyncio.wait_for(self.ending.wait(), 0.25)
            except TimeoutError:
                continue
        tokens = usage_event(20, math.ceil(total / 4))
        writer.write(b"%b%b%b0\r\n\r\n" % (chunk(delta("", "stop")), chunk(tokens), chunk(DONE)))

    def tokens(self, request_id: UUID, at: float) -> int:
        """What had been said to a request at this moment, as tokens of four bytes."""
        return math.ceil(max((total for when, total in self.said[request_id] if when <= at), default=0) / 4)


@pytest.fixture(scope="module")
def own_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("streams"), {"OMNI_LEASE_SECONDS": str(LEASE_SECONDS)}) as started:
        yield started


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[tuple[Speaker, str]]:
    server, speaker = FakeBackend(), Speaker()
    server.handler = speaker.speak
    yield speaker, await server.start()
    speaker.ending.set()
    await server.stop()


def configure(platform: Platform, url: str) -> UUID:
    """Provider, model and budget, by the routes of the control plane; returns once the gateway serves the model."""
    tenant = platform.first_access["tenant"]
    target = {
        "id": f"{MODEL}@scripted", "provider": "scripted", "upstream_model": "gpt",
        "cost": {"output_tokens": {"price_nanos": 100, "per_quantity": 1}},
    }  # fmt: skip
    model = {"operations": ["chat"], "targets": [target]}
    tomorrow = datetime.fromtimestamp((time.time() // 86_400 + 1) * 86_400, UTC).isoformat()
    price = {"meter": "output_tokens", "currency": "EUR", "price_nanos": 900, "per_quantity": 1, "model": MODEL}
    budget = {"scope": "tenant", "scope_id": tenant, "period": "month", "limit_nanos": 10_000_000_000}
    with platform.control() as control:
        for method, path, body in (
            ("PUT", "operator/plans/free", PLAN),
            ("PUT", "operator/providers/scripted", {"kind": "openai", "base_url": f"{url}/v1", "key": "sk-scripted"}),
            ("PUT", f"operator/models/{MODEL}", model),
            ("POST", "operator/prices", {**price, "valid_from": tomorrow}),
            ("POST", f"tenants/{tenant}/budgets", budget),
        ):
            answer = control.request(method, f"/api/{path}", json=body)
            assert answer.status_code in (200, 201, 409), answer.text
    client = redis.Redis.from_url(platform.run_file()["redis"])
    until(lambda: client.exists(redis_names.money_snapshot(UUID(tenant))), 10, "the budget is published")
    client.close()

    def offered() -> bool:
        with platform.api() as api:
            return MODEL in [row["id"] for row in api.get("/v1/models").json()["data"]]

    until(offered, 10, "the gateway offers the model")
    return UUID(tenant)


async def open_stream(platform: Platform) -> tuple[UUID, Client]:
    """A stream whose first token has come, and its request id."""
    client = await Client.connect(platform.gateway_port)
    headers = {"authorization": f"Bearer {platform.first_access['live_key']}", "content-type": "application/json"}
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Speak."}]}
    client.send(request("POST", CHAT, headers, orjson.dumps(body)))
    head = await client.head()
    assert head.status == 200, head
    assert b"forty" in await client.chunk()
    return UUID(head.headers["x-request-id"]), client


async def events(platform: Platform) -> dict[UUID, Any]:
    """Usage events in PostgreSQL."""
    connection = await asyncpg.connect(platform.run_file()["database"])
    try:
        rows = await connection.fetch("select * from usage_events")
    finally:
        await connection.close()
    return {
        UUID(str(row["event_id"])): (row["status"], json.loads(row["quantities"]), json.loads(row["attributes"]))
        for row in rows
    }


async def shortly(look: Callable[[], bool], seconds: float) -> None:
    """As `eventually`, for what is known at once."""

    async def found() -> bool:
        return look()

    await eventually(found, seconds)


def held(client: redis.Redis) -> int:
    return sum(client.zcard(redis_names.holds_index(number)) for number in range(redis_names.PARTITIONS))


async def books_agree(platform: Platform, tenant: UUID) -> None:
    """Redis' counters of the tenant equal the events in PostgreSQL, and so does what the console says."""
    client = redis.Redis.from_url(platform.run_file()["redis"])
    month = f"{datetime.now(UTC):%Y%m}"

    async def equal() -> bool:
        rows = (await events(platform)).values()
        spent = sum(quantities.get("spend_nanos", 0) for _, quantities, _ in rows)
        requests = sum(quantities.get("requests", 0) for _, quantities, _ in rows)
        counters = [client.get(redis_names.spend_key(tenant, tenant, "live", month))]
        counters += [client.get(redis_names.quota_key(tenant, "live", month, "requests"))]
        return spent > 0 and [int(value or 0) for value in counters] == [spent, requests]

    await eventually(equal, 20)
    with platform.control() as control:
        [budget] = control.get(f"/api/tenants/{tenant}/budgets").json()["data"]
    rows = (await events(platform)).values()
    assert budget["spent_nanos"] == sum(quantities.get("spend_nanos", 0) for _, quantities, _ in rows)
    assert held(client) == 0
    client.close()
    no_differences(platform)


async def test_streams_of_a_killed_gateway_are_billed_and_their_holds_given_back(
    own_platform: Platform, provider: tuple[Speaker, str]
) -> None:
    speaker, url = provider
    tenant = await asyncio.to_thread(configure, own_platform, url)
    opened = dict([await open_stream(own_platform) for _ in range(STREAMS)])
    readers = [asyncio.create_task(client.reader.read(-1)) for client in opened.values()]
    await shortly(lambda: all(speaker.tokens(each, time.monotonic() - LAG_SECONDS) >= 40 for each in opened), 30)

    client = redis.Redis.from_url(own_platform.run_file()["redis"])
    assert held(client) == STREAMS
    old = own_platform.run_file()["pids"]["gateway"]
    os.kill(old, signal.SIGKILL)
    killed = time.monotonic()
    await asyncio.gather(*readers, return_exceptions=True)
    for broken in opened.values():
        broken.close()
    await shortly(lambda: held(client) == 0, BACK_SECONDS)
    client.close()

    async def recorded() -> bool:
        return opened.keys() <= (await events(own_platform)).keys()

    await eventually(recorded, 20)
    found = await events(own_platform)
    for request_id in opened:
        status, quantities, attributes = found[request_id]
        assert (status, attributes["estimated"]) == (0, "lease_ran_out/bytes")
        assert attributes["provider"] == "scripted"
        billed = quantities["output_tokens"]
        assert speaker.tokens(request_id, killed - LAG_SECONDS) <= billed <= speaker.tokens(request_id, killed)
        assert quantities["input_tokens"] > 0
        assert quantities["spend_nanos"] == 500_000 + 100 * quantities["input_tokens"] + 400 * billed
    await asyncio.to_thread(own_platform.wait_until_steady, "after the death of the gateway")
    assert own_platform.run_file()["pids"]["gateway"] != old
    await books_agree(own_platform, tenant)
    with own_platform.api() as api:
        assert api.get("/v1/models").status_code == 200


async def test_counters_equal_the_database_after_a_flush_with_open_streams(
    own_platform: Platform, provider: tuple[Speaker, str]
) -> None:
    speaker, url = provider
    tenant = await asyncio.to_thread(configure, own_platform, url)
    client = redis.Redis.from_url(own_platform.run_file()["redis"])
    streams = [redis_names.usage_stream(number) for number in range(redis_names.PARTITIONS)]
    opened = dict([await open_stream(own_platform) for _ in range(20)])
    await shortly(lambda: not any(client.xlen(stream) for stream in streams), 20)
    client.flushall()
    ready = redis_names.counters_ready(redis_names.partition_of(tenant))
    await shortly(lambda: bool(client.exists(ready)), 20)
    speaker.ending.set()
    for stream in opened.values():
        while await stream.chunk():
            pass
        stream.close()
    client.close()

    async def recorded() -> bool:
        found = await events(own_platform)
        return all(found.get(each, (0,))[0] == 200 for each in opened)

    await eventually(recorded, 20)
    await books_agree(own_platform, tenant)
