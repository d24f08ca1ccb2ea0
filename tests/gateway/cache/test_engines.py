"""The same request to one of our own engines again: given from the cache, where the answer depends on nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from tests.gateway.cache.support import CACHED_NANOS, cached_tenant, post
from tests.gateway.providers import says, whole
from tests.gateway.support import ControlPlane, FakeBackend, Received, Reply, Tenant, ask

TOKENS = "/v1/text/tokens"
ANSWER = b'{"results":[]}'
USED = "omni-usage: compute_ms=3\r\nomni-model: o200k\r\n"


async def send(port: int, tenant: Tenant, path: str = TOKENS, control: str = "", **fields: Any) -> Reply:
    headers = {"cache-control": control} if control else {}
    return await post(port, tenant, {"texts": ["one"], **fields}, path, headers)


async def test_a_repeat_costs_its_own_price_and_asks_no_engine(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(ANSWER, headers=USED))
    tenant = await cached_tenant(control)
    first, second = await send(port, tenant), await send(port, tenant)
    assert (first.status, first.body, first.headers["omni-cache"]) == (200, ANSWER, "miss")
    assert (second.status, second.body, second.headers["omni-cache"]) == (200, ANSWER, "hit")
    assert (second.headers["age"], second.headers["content-type"]) == ("0", "application/json")
    assert len(backend.received) == 1
    events = await control.wait_events(tenant.key.tenant_id, 2)
    assert [event.quantities for event in events] == [
        {"requests": 1, "compute_ms": 3}, {"cached_requests": 1, "spend_nanos": CACHED_NANOS},
    ]  # fmt: skip
    assert events[1].attributes == {"cache": "exact"}


async def test_the_order_of_members_does_not_matter_and_what_they_say_does(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(ANSWER))
    tenant = await cached_tenant(control)
    lines = {**tenant.bearer, "content-type": "application/json"}
    bodies = (b'{"a":1,"b":[2]}', b'{ "b": [2], "a": 1 }', b'{"a":2,"b":[2]}', b'{"a":1,"b":[2.5]}')
    told = [(await ask(port, "POST", TOKENS, lines, body)).headers["omni-cache"] for body in bodies]
    assert told == ["miss", "hit", "miss", "miss"]
    other_route = await ask(port, "POST", "/v1/text/chunk", lines, bodies[0])
    assert other_route.headers["omni-cache"] == "miss"


async def test_another_tenant_and_one_without_a_cache_ask_the_engine(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(ANSWER))
    await send(port, await cached_tenant(control))
    other, plain = await send(port, await cached_tenant(control)), await send(port, await control.tenant())
    assert other.headers["omni-cache"] == "miss"
    assert "omni-cache" not in plain.headers
    assert len(backend.received) == 3


async def test_what_is_no_success_or_no_json_is_not_kept(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await cached_tenant(control)
    backend.handler = says(whole(b'{"code":"input_empty"}', status=400))
    assert [(await send(port, tenant)).headers["omni-cache"] for _ in range(2)] == ["miss", "miss"]
    backend.handler = says(whole(ANSWER))
    lines = {**tenant.bearer, "content-type": "application/json"}
    for body in (b"no json", b"[1]", b"\xff"):
        replies = [await ask(port, "POST", TOKENS, lines, body) for _ in range(2)]
        assert ["omni-cache" in reply.headers for reply in replies] == [False, False]
    assert len(backend.received) == 8


async def test_cache_control_is_honoured(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(ANSWER))
    tenant = await cached_tenant(control)
    told = [
        (await send(port, tenant, control=said)).headers["omni-cache"]
        for said in ("no-store", "", "no-cache", "max-age=60", "")
    ]
    assert told == ["bypass", "miss", "bypass", "hit", "hit"]


async def test_what_is_made_anew_each_time_is_not_kept(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(ANSWER))
    tenant = await cached_tenant(control)
    for path in ("/v1/text/pii/redact", "/v1/anomalies/stream", "/v1/collections"):
        replies = [await send(port, tenant, path) for _ in range(2)]
        assert ["omni-cache" in reply.headers for reply in replies] == [False, False], path


async def test_many_who_ask_for_the_same_at_once_wait_for_one_answer(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    gate = asyncio.Event()

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(whole(ANSWER))

    backend.handler = slow
    tenant = await cached_tenant(control)
    waiting = [asyncio.create_task(send(port, tenant)) for _ in range(12)]
    async with asyncio.timeout(10):
        while not backend.received:
            await asyncio.sleep(0.01)
    gate.set()
    replies = await asyncio.gather(*waiting)
    assert {orjson.loads(reply.body)["results"] == [] for reply in replies} == {True}
    assert sorted(reply.headers["omni-cache"] for reply in replies) == [*["hit"] * 11, "miss"]
    assert len(backend.received) == 1
