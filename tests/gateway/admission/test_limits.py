"""Admit → settle with Redis: exact under concurrency, one event per request, nothing left held."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest

from omni.contracts import redis_names
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.support import (
    EMBEDDINGS,
    Client,
    ControlPlane,
    FakeBackend,
    Received,
    RedisServer,
    answer,
    ask,
    embed,
    eventually,
    request,
)

SLOW_RATE = 6  # per minute: nothing comes back during a test


async def test_a_burst_admits_exactly_its_size(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant(requests_per_minute=SLOW_RATE, request_burst=20)
    replies = await asyncio.gather(*(embed(port, tenant) for _ in range(200)))
    assert Counter(reply.status for reply in replies) == {200: 20, 429: 180}
    remaining = sorted(int(r.headers["ratelimit-remaining"]) for r in replies if r.status == 200)
    assert remaining == list(range(20))
    refused = next(reply for reply in replies if reply.status == 429)
    assert code(refused) == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert refused.headers["ratelimit-limit"] == refused.headers["x-ratelimit-limit-requests"] == "6"
    assert refused.headers["ratelimit-remaining"] == refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert 190 <= int(refused.headers["ratelimit-reset"]) <= 200
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    assert len(await control.events(tenant.key.tenant_id)) == 20


async def test_a_monthly_quota_admits_exactly_its_size(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant(requests_per_month=50)
    replies = await asyncio.gather(*(embed(port, tenant) for _ in range(300)))
    assert Counter(reply.status for reply in replies) == {200: 50, 429: 250}
    refused = next(reply for reply in replies if reply.status == 429)
    error = orjson.loads(refused.body)["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert int(refused.headers["retry-after"]) >= 1
    assert code(await ask(port, "POST", "/v1/forecasts", tenant.bearer)) == "quota_exceeded"
    events = await control.events(tenant.key.tenant_id)
    assert len({event.event_id for event in events}) == len(events) == 50
    assert await control.quota(tenant, "requests", events[0].occurred_at_micros) == 50
    assert await control.holds(tenant.key.tenant_id) == 0


@pytest.mark.parametrize(
    ("plan", "key", "requests_left", "tokens_limit"),
    [
        ({"requests_per_month": 9, "concurrent_requests": 5}, {"tokens_per_minute": 7_000}, "8", "7000"),
        ({"requests_per_month": 9, "tokens_per_minute": 8_000}, {"concurrent_requests": 5}, "8", "8000"),
        ({"requests_per_month": 9, "tokens_per_minute": 8_000}, {"requests_per_minute": 60}, "59", "8000"),
        ({"requests_per_minute": 40, "request_burst": 40}, {"requests_per_minute": 60}, "39", None),
        (
            {"requests_per_minute": 40, "request_burst": 40, "requests_per_month": 9, "concurrent_requests": 3},
            {"requests_per_minute": 60, "tokens_per_minute": 7_000, "concurrent_requests": 2}, "39", "7000",
        ),
    ],
)  # fmt: skip
async def test_headers_tell_of_the_level_that_they_are_named_for(
    port: int, control: ControlPlane, plan: dict[str, Any], key: dict[str, Any], requests_left: str,
    tokens_limit: str | None,
) -> None:  # fmt: skip
    tenant = await control.tenant(key=key, **plan)
    reply = await embed(port, tenant)
    assert (reply.status, reply.headers["ratelimit-remaining"]) == (200, requests_left)
    assert reply.headers.get("x-ratelimit-limit-tokens") == tokens_limit
    if tokens_limit is not None:
        left = int(reply.headers["x-ratelimit-remaining-tokens"])
        assert int(tokens_limit) - 100 < left < int(tokens_limit)


async def test_compute_is_refused_once_it_is_used_up(port: int, control: ControlPlane) -> None:
    for limit in (60, 68):
        tenant = await control.tenant(compute_ms_per_month=limit)
        statuses = [(await embed(port, tenant)).status for _ in range(4)]
        assert statuses == [200, 200, 429, 429], "34 ms each"


async def test_tokens_are_reserved_by_estimate_and_corrected_at_settle(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant(tokens_per_minute=20)
    replies = [await embed(port, tenant) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429], "12 tokens each"
    assert code(replies[2]) == "rate_limit_exceeded"
    assert 1 <= int(replies[2].headers["retry-after"]) <= 72, "24 of 20 tokens were used, and some are needed again"
    assert replies[1].headers["x-ratelimit-limit-tokens"] == "20"


async def test_all_or_nothing_over_the_levels(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant(requests_per_minute=SLOW_RATE, request_burst=5, requests_per_month=1)
    assert [(await embed(port, tenant)).status for _ in range(3)] == [200, 429, 429]
    arrival = int(await control.redis.get(redis_names.rate_key(tenant.key.tenant_id, "rpm")) or 0)
    seconds, micros = await control.redis.time()
    assert arrival - (seconds * 1_000_000 + micros) <= 10_000_000, "the refused requests took nothing of the rate"


async def test_an_event_says_what_was_used(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    reply = await embed(port, tenant)
    (event,) = await control.events(tenant.key.tenant_id)
    assert str(event.event_id) == reply.headers["x-request-id"]
    assert (event.project_id, event.key_id) == (tenant.key.project_id, tenant.key.key_id)
    assert (event.endpoint, event.model, event.status, event.mode) == ("POST /v1/embeddings", "mini", 200, "live")
    counted = {meter: count for meter, count in event.quantities.items() if meter != "spend_nanos"}
    assert counted == {"requests": 1, "input_tokens": 12, "compute_ms": 34}
    assert event.duration_micros > 0
    assert await control.quota(tenant, "compute_ms", event.occurred_at_micros) == 34
    assert await control.quota(tenant, "requests", event.occurred_at_micros) == 1


async def test_a_failing_backend_bills_nothing(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant(requests_per_month=1)

    async def broken(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(500, b"{}"))

    backend.handler = broken
    for _ in range(2):
        assert (await embed(port, tenant)).status == 500
    events = await control.events(tenant.key.tenant_id)
    assert [(event.status, event.quantities) for event in events] == [(500, {}), (500, {})]
    assert await control.quota(tenant, "requests", events[0].occurred_at_micros) == 0


async def test_a_client_error_of_the_backend_counts(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()

    async def unprocessable(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 422 X\r\ncontent-length: 2\r\n\r\n{}")

    backend.handler = unprocessable
    assert (await embed(port, tenant)).status == 422
    (event,) = await control.events(tenant.key.tenant_id)
    assert (event.status, event.quantities) == (422, {"requests": 1})


async def test_a_usage_header_that_lies_bills_one_request(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()

    async def liar(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(omni_usage="input_tokens=-5"))

    backend.handler = liar
    assert (await embed(port, tenant)).status == 200
    (event,) = await control.events(tenant.key.tenant_id)
    assert event.quantities == {"requests": 1}


async def test_a_warm_request_costs_two_scripts_and_nothing_else(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant(requests_per_minute=60_000, request_burst=1000, requests_per_month=1000)
    assert (await embed(port, tenant)).status == 200
    await control.redis.config_resetstat()
    client = await Client.connect(port)
    for _ in range(10):
        client.send(request("POST", EMBEDDINGS, tenant.bearer))
        assert (await client.reply()).status == 200
    client.close()
    stats = await control.redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 20
    assert stats["cmdstat_xadd"]["calls"] == 10
    assert not {"cmdstat_eval", "cmdstat_script"} & stats.keys()


async def test_scripts_come_back_after_a_flush(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    await control.redis.script_flush()
    replies = await asyncio.gather(*(embed(port, tenant) for _ in range(10)))
    assert {reply.status for reply in replies} == {200}
    assert len(await control.events(tenant.key.tenant_id)) == 10


async def test_leases_of_long_requests_are_renewed(
    own_redis: RedisServer, own_control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    tenant = await own_control.tenant()
    gateway = await start_gateway(own_redis.url, lease_seconds=0.3)
    release = asyncio.Event()

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer())

    backend.handler = slow
    asked = asyncio.create_task(embed(gateway.ports.public, tenant))
    index = redis_names.holds_index(redis_names.partition_of(tenant.key.tenant_id))

    async def lease_end() -> float:
        rows = await own_control.redis.zrange(index, 0, -1, withscores=True)
        return float(rows[0][1]) if rows else 0.0

    first: float = await eventually(lease_end)

    async def extended_twice() -> bool:
        return await lease_end() > first + 200

    await eventually(extended_twice)
    release.set()
    assert (await asked).status == 200
    assert await own_control.holds(tenant.key.tenant_id) == 0
