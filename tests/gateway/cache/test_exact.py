"""The same request again: given from the cache, at its own price, to the same tenant only."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest

from omni.contracts import redis_names
from omni.contracts.money import Budget
from omni.contracts.routes import Provider
from omni.gateway.app import Gateway
from omni.kit.ids import mint_secret
from tests.gateway.access.test_auth import code
from tests.gateway.cache.support import CACHED_NANOS, cached_tenant, outcomes, post, settings
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import (
    PER_TOKEN,
    budget,
    chat,
    completion,
    model,
    provider,
    publish,
    says,
    target,
    whole,
)
from tests.gateway.support import (
    Client,
    ControlPlane,
    FakeBackend,
    Handler,
    Received,
    RedisServer,
    Reply,
    ask,
    eventually,
    request,
)

HI = {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]}


def says_when(go: asyncio.Event) -> Handler:
    """A completion, not before `go`."""

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(whole(completion()))

    return handler


async def test_a_hit_costs_its_own_price_and_nothing_else(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    body = completion()
    backend.handler = says(whole(body))
    tenant = await cached_tenant(control, tokens_per_minute=100_000, requests_per_month=100)
    first = await chat(port, tenant)
    second = await chat(port, tenant)
    assert (first.status, first.body, first.headers["omni-cache"]) == (200, body, "miss")
    assert "age" not in first.headers
    assert (second.status, second.body, second.headers["omni-cache"]) == (200, body, "hit")
    assert second.headers["age"] == "0"
    assert second.headers["content-type"] == "application/json"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert "ratelimit-limit" in second.headers
    assert len(backend.received) == 1
    paid, cached = await control.wait_events(tenant.key.tenant_id, 2)
    assert paid.quantities["spend_nanos"] == 15 * PER_TOKEN
    assert "cache" not in paid.attributes
    assert cached.quantities == {"cached_requests": 1, "spend_nanos": CACHED_NANOS}
    assert (cached.status, cached.model, cached.attributes) == (200, "gpt", {"cache": "exact"})
    assert str(cached.event_id) == second.headers["x-request-id"]
    assert await control.quota(tenant, "requests", cached.occurred_at_micros) == 1
    assert await control.holds(tenant.key.tenant_id) == 0


@pytest.mark.parametrize(
    ("change", "hit"),
    [
        ({"user": "somebody"}, True),
        ({"metadata": {"a": "b"}, "store": True}, True),
        ({"temperature": None}, True),
        ({"temperature": 0.5}, False),
        ({"max_tokens": 5}, False),
        ({"messages": [{"role": "user", "content": "Ho"}]}, False),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, False),
    ],
)
async def test_what_changes_an_answer_is_in_the_key(
    port: int, control: ControlPlane, backend: FakeBackend, change: dict[str, Any], hit: bool
) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control)
    await chat(port, tenant)
    again = await post(port, tenant, {**dict(reversed(HI.items())), **change})
    assert again.headers["omni-cache"] == ("hit" if hit else "miss")
    assert len(backend.received) == (1 if hit else 2)


async def test_region_and_tags_are_in_the_key(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control)
    for headers in ({}, {"omni-region": "eu"}, {"omni-tags": "fast"}):
        assert (await post(port, tenant, HI, headers=headers)).headers["omni-cache"] == "miss"
        assert (await post(port, tenant, HI, headers=headers)).headers["omni-cache"] == "hit"


async def test_tenants_never_share(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(completion("For the first.")))
    one, other = await cached_tenant(control), await cached_tenant(control)
    await chat(port, one)
    backend.handler = says(whole(completion("For the other.")))
    reply = await chat(port, other)
    assert reply.headers["omni-cache"] == "miss"
    assert b"For the other." in reply.body
    assert b"For the first." in (await chat(port, one)).body
    assert len(backend.received) == 2


@pytest.mark.parametrize(
    ("header", "second", "third"),
    [
        ("no-cache", "bypass", "hit"),
        ("no-store", "bypass", "hit"),
        ("max-age=60", "hit", "hit"),
        ("max-age=0", "hit", "hit"),
        ("nonsense, max-age=x", "hit", "hit"),
    ],
)
async def test_cache_control_of_the_request(
    port: int, control: ControlPlane, backend: FakeBackend, header: str, second: str, third: str
) -> None:
    backend.handler = says(whole(completion("one")))
    tenant = await cached_tenant(control)
    await chat(port, tenant)
    backend.handler = says(whole(completion("two")))
    reply = await chat(port, tenant, headers={"cache-control": header})
    assert reply.headers["omni-cache"] == second
    last = await chat(port, tenant)
    assert last.headers["omni-cache"] == third
    assert (b"two" in last.body) == (header == "no-cache"), "only no-cache replaces what is stored"


async def test_an_old_answer_is_not_given_to_who_wants_a_younger_one(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(completion("old")))
    tenant = await cached_tenant(control)
    await chat(port, tenant)
    (name,) = [key async for key in control.redis.scan_iter(f"{redis_names.response_cache(tenant.key.tenant_id)}0:*")
               if len(key) > 100]  # fmt: skip
    stored: Any = await control.redis.get(name)
    line, _, rest = stored.partition(b"\n")
    head = orjson.loads(line)
    head["stored_at_micros"] -= 30_000_000
    await control.redis.set(name, orjson.dumps(head) + b"\n" + rest, keepttl=True)
    assert (await chat(port, tenant)).headers["age"] in ("30", "31")
    backend.handler = says(whole(completion("young")))
    assert b"young" in (await chat(port, tenant, headers={"cache-control": "max-age=10"})).body
    assert (await chat(port, tenant)).headers["age"] in ("0", "1")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (whole(b'{"error":{"message":"no"}}', 400), 400),
        (whole(completion().replace(b'"stop"', b'"content_filter"')), 200),
        (whole(completion("x" * 1_100_000)), 200),
    ],
    ids=["refused", "filtered", "too large"],
)
async def test_what_is_no_good_answer_is_not_stored(
    port: int, control: ControlPlane, backend: FakeBackend, answer: bytes, status: int
) -> None:
    backend.handler = says(answer)
    tenant = await cached_tenant(control)
    for _ in range(2):
        reply = await chat(port, tenant)
        assert (reply.status, reply.headers["omni-cache"]) == (status, "miss")
    assert len(backend.received) == 2
    assert outcomes(await control.wait_events(tenant.key.tenant_id, 2)) == ["target", "target"]


async def test_a_request_that_depends_on_more_than_its_body_is_not_cached(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(orjson.dumps({"id": "r", "output": [], "status": "completed", "usage": {}})))
    tenant = await cached_tenant(control)
    for more in ({"previous_response_id": "resp_1"}, {"tools": [{"type": "web_search"}]}, {"background": True}):
        reply = await post(port, tenant, {"model": "gpt", "input": "Hi", **more}, "/v1/responses")
        assert reply.headers["omni-cache"] == "bypass"
    assert len(backend.received) == 3


async def test_embeddings_and_moderations_are_cached(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await cached_tenant(control)
    for path, member in (("/v1/embeddings", "data"), ("/v1/moderations", "results")):
        backend.handler = says(whole(orjson.dumps({member: [], "usage": {"prompt_tokens": 3, "total_tokens": 3}})))
        assert (await post(port, tenant, {"model": "gpt", "input": "Hi"}, path)).headers["omni-cache"] == "miss"
        assert (await post(port, tenant, {"model": "gpt", "input": "Hi"}, path)).headers["omni-cache"] == "hit"


async def test_fifty_at_once_are_one_call_and_one_full_price(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    go = asyncio.Event()
    backend.handler = says_when(go)
    tenant = await cached_tenant(control)
    replies = [asyncio.create_task(chat(port, tenant)) for _ in range(50)]
    while not backend.received:
        await asyncio.sleep(0)
    go.set()
    for reply in await asyncio.gather(*replies):
        assert (reply.status, reply.body) == (200, completion())
    assert len(backend.received) == 1
    events = await control.wait_events(tenant.key.tenant_id, 50)
    assert outcomes(events) == ["exact"] * 49 + ["target"]
    assert sum(event.quantities["spend_nanos"] for event in events) == 15 * PER_TOKEN + 49 * CACHED_NANOS
    assert len({event.event_id for event in events}) == 50


async def test_two_gateways_make_one_call(
    gateway: Gateway,
    control: ControlPlane,
    backend: FakeBackend,
    backend_server: tuple[FakeBackend, str],
    shared_redis: RedisServer,
    start_gateway: StartGateway,
) -> None:
    go = asyncio.Event()
    backend.handler = says_when(go)
    other = await start_gateway(shared_redis.url)
    await publish(control, other, [provider(backend_server[1])], [model("gpt", target())])
    tenant = await cached_tenant(control)
    replies = [
        asyncio.create_task(chat(port, tenant)) for port in (gateway.ports.public, other.ports.public) for _ in range(5)
    ]
    while not backend.received:
        await asyncio.sleep(0)
    go.set()
    assert {reply.status for reply in await asyncio.gather(*replies)} == {200}
    assert len(backend.received) == 1


async def test_when_the_first_fails_the_next_asks(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    calls, open_calls, most = 0, 0, 0

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal calls, open_calls, most
        calls += 1
        open_calls += 1
        most = max(most, open_calls)
        await asyncio.sleep(0.01)
        writer.write(whole(b"{}", 500) if calls <= 2 else whole(completion()))
        open_calls -= 1

    backend.handler = handler
    tenant = await cached_tenant(control)
    statuses = [reply.status for reply in await asyncio.gather(*(chat(port, tenant) for _ in range(10)))]
    assert set(statuses) <= {200, 502}
    assert statuses.count(502) <= 2
    assert calls <= 3
    assert most == 1, "no stampede"


async def until_open(gateway: Gateway, count: int) -> None:
    """Returns when so many requests are being served."""

    async def reached() -> bool:
        page = (await ask(gateway.ports.metrics, "GET", "/metrics")).body.decode()
        return f"omni_gateway_open_requests {count}.0\n" in page

    await eventually(reached)


async def test_when_the_first_leaves_the_next_asks(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    port = gateway.ports.public

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        if len(backend.received) > 1:
            writer.write(whole(completion()))

    backend.handler = handler
    tenant = await cached_tenant(control)
    client = await Client.connect(port)
    lines = {**tenant.bearer, "content-type": "application/json"}
    client.send(request("POST", "/v1/chat/completions", lines, orjson.dumps(HI)))
    while not backend.received:
        await asyncio.sleep(0)
    waiting = [asyncio.create_task(chat(port, tenant)) for _ in range(5)]
    await until_open(gateway, 6)
    client.abort()
    assert {reply.status for reply in await asyncio.gather(*waiting)} == {200}
    assert len(backend.received) == 2
    events = await control.wait_events(tenant.key.tenant_id, 6)
    assert sorted(event.status for event in events) == [200] * 5 + [499]


async def test_who_waits_does_not_wait_past_its_deadline(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    never = asyncio.Event()

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    backend.handler = handler
    tenant = await cached_tenant(control)
    first = asyncio.create_task(chat(port, tenant))
    while not backend.received:
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    reply = await chat(port, tenant, headers={"omni-timeout-ms": "200"})
    assert (reply.status, code(reply)) == (504, "deadline_exceeded")
    assert loop.time() - began < 1
    never.set()
    assert (await first).status == 502


async def test_a_waiter_that_left_is_not_billed(gateway: Gateway, control: ControlPlane, backend: FakeBackend) -> None:
    port = gateway.ports.public
    go = asyncio.Event()
    backend.handler = says_when(go)
    tenant = await cached_tenant(control)
    first = asyncio.create_task(chat(port, tenant))
    while not backend.received:
        await asyncio.sleep(0)
    client = await Client.connect(port)
    lines = {**tenant.bearer, "content-type": "application/json"}
    client.send(request("POST", "/v1/chat/completions", lines, orjson.dumps(HI)))
    await until_open(gateway, 2)
    client.abort()
    await ask(port, "GET", "/livez")  # served after the gateway has seen that the client left
    go.set()
    assert (await first).status == 200
    await chat(port, tenant)
    assert outcomes(await control.wait_events(tenant.key.tenant_id, 2)) == ["exact", "target"]


async def test_limits_hold_for_hits(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control, requests_per_minute=2, request_burst=2)
    replies = [await chat(port, tenant) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert code(replies[2]) == "rate_limit_exceeded"


async def test_a_hit_needs_room_in_a_budget_for_its_own_price_only(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control)
    await chat(port, tenant)
    await control.wait_events(tenant.key.tenant_id, 1)
    await budget(control, tenant, Budget("tenant", tenant.key.tenant_id, "month", 2 * CACHED_NANOS + 3, hard=True))
    replies = [await chat(port, tenant) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert code(replies[2]) == "insufficient_quota"


async def test_a_model_that_is_denied_is_not_given_from_the_cache(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control)
    await chat(port, tenant)
    await settings(control, tenant, cache_seconds=60, denied_models=("gpt",))

    async def denied() -> Reply:
        return await chat(port, tenant)

    for _ in range(100):
        reply = await denied()
        if reply.status != 200:
            break
    assert (reply.status, code(reply)) == (404, "model_not_found")


async def test_who_waits_gets_no_answer_from_before_everything_was_forgotten(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    port, go = gateway.ports.public, asyncio.Event()
    backend.handler = says_when(go)
    tenant = await cached_tenant(control)
    first = asyncio.create_task(chat(port, tenant))
    while not backend.received:
        await asyncio.sleep(0)
    second = asyncio.create_task(chat(port, tenant))
    await until_open(gateway, 2)
    await control.redis.incr(redis_names.response_cache_generation(tenant.key.tenant_id))
    go.set()
    assert [(await task).headers["omni-cache"] for task in (first, second)] == ["miss", "miss"]
    assert len(backend.received) == 2
    assert (await chat(port, tenant)).headers["omni-cache"] == "hit"


async def test_a_new_generation_forgets_everything(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control)
    await chat(port, tenant)
    await control.redis.incr(redis_names.response_cache_generation(tenant.key.tenant_id))
    assert (await chat(port, tenant)).headers["omni-cache"] == "miss"
    assert (await chat(port, tenant)).headers["omni-cache"] == "hit"


async def test_without_redis_requests_pass_the_cache(
    own_redis: RedisServer,
    own_control: ControlPlane,
    backend: FakeBackend,
    backend_server: tuple[FakeBackend, str],
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(own_redis.url)
    await publish(own_control, gateway, [provider(backend_server[1])], [model("gpt", target())])
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(own_control)
    assert (await chat(gateway.ports.public, tenant)).headers["omni-cache"] == "miss"
    own_redis.stop()
    for _ in range(2):
        reply = await chat(gateway.ports.public, tenant)
        assert (reply.status, reply.headers["omni-cache"]) == (200, "bypass")
    assert len(backend.received) == 3


async def test_keys_of_a_tenant_share_but_test_and_live_do_not(
    control: ControlPlane, gateway: Gateway, backend: FakeBackend
) -> None:
    operations = frozenset(("embeddings",))
    engines = Provider("engines", "backend", "")
    await publish(control, gateway, [engines], [model("mini", target("mini", "engines"), operations=operations)])
    backend.handler = says(whole(orjson.dumps({"data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})))
    live = await cached_tenant(control)
    second = replace(live, secret=mint_secret("omni_live_"), key=replace(live.key, key_id=uuid4()))
    test = replace(live, secret=mint_secret("omni_test_"), key=replace(live.key, key_id=uuid4(), mode="test"))
    found = []
    for tenant in (live, second, test, test):
        await control.redis.set(redis_names.key_snapshot(tenant.digest), tenant.key.to_json())
        reply = await post(gateway.ports.public, tenant, {"model": "mini", "input": "Hi"}, "/v1/embeddings")
        found.append(reply.headers["omni-cache"])
    assert found == ["miss", "hit", "miss", "hit"]


async def test_look_ups_are_counted(gateway: Gateway, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(completion()))
    tenant = await cached_tenant(control)
    for header in ({}, {}, {"cache-control": "no-store"}):
        await chat(gateway.ports.public, tenant, headers=header)
    page = (await ask(gateway.ports.metrics, "GET", "/metrics")).body.decode()
    for outcome in ("miss", "exact", "bypass"):
        assert f'omni_response_cache_total{{outcome="{outcome}"}} 1.0' in page


async def test_off_costs_nothing(port: int, gateway: Gateway, control: ControlPlane, backend: FakeBackend) -> None:
    backend.handler = says(whole(completion()))
    tenant = await control.tenant()
    await chat(port, tenant)
    await control.wait_events(tenant.key.tenant_id, 1)
    await control.redis.config_resetstat()
    for _ in range(5):
        assert "omni-cache" not in (await chat(port, tenant)).headers
    assert await control.calls("evalsha") == 10, "admit and settle"
    assert await control.calls("eval") == 0
    assert gateway.extras.policy_sets == 0
