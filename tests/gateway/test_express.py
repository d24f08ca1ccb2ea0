"""Requests that run without a task, and where they have to go on in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
import pytest_asyncio
import redis.exceptions

from omni.apps.compiled import is_compiled
from omni.contracts.routes import Condition
from omni.gateway.app import Gateway
from omni.gateway.express import Express
from omni.gateway.plans import Planner
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import (
    CHAT,
    DONE,
    PER_TOKEN,
    STREAM_HEAD,
    budget,
    chat,
    chunk,
    completion,
    delta,
    model,
    provider,
    publish,
    says,
    streams,
    target,
    usage_event,
    whole,
)
from tests.gateway.support import (
    Client,
    ControlPlane,
    FakeBackend,
    Received,
    RecordingLogger,
    RedisServer,
    Tenant,
    eventually,
    request,
)


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer, control: ControlPlane, backend_server: tuple[FakeBackend, str], backend: FakeBackend,
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:  # fmt: skip
    started = await start_gateway(shared_redis.url)
    models = [
        model("gpt", target()),
        model("two", target("a"), target("b", priority=1)),
        model("picky", target("near", when=Condition(tags=frozenset(("near",)))), target("far", priority=1)),
        model("hedged", target("h"), hedge_after_ms=5_000),
    ]
    await publish(control, started, [provider(backend_server[1])], models)
    backend.handler = says(whole(completion()))
    yield started


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request for a model, whether the express lane took it; always so where that cannot be looked at."""
    if is_compiled():
        return [True]
    found: list[bool] = []
    original = Express.takes

    def takes(self: Express, *given: Any) -> bool:
        found.append(original(self, *given))
        return found[-1]

    monkeypatch.setattr(Express, "takes", takes)
    return found


async def warm(gateway: Gateway, tenant: Tenant, name: str = "gpt") -> None:
    assert (await chat(gateway.ports.public, tenant, name)).status == 200


@pytest.mark.skipif(is_compiled(), reason="what is compiled cannot be patched")
async def test_what_asks_for_more_goes_the_other_way(
    gateway: Gateway, control: ControlPlane, taken: list[bool]
) -> None:
    port, tenant = gateway.ports.public, await control.tenant()
    ways: list[tuple[bool, Callable[[], Awaitable[Any]]]] = [
        (False, lambda: chat(port, tenant)),  # nobody is known yet
        (True, lambda: chat(port, tenant)),
        (True, lambda: chat(port, tenant, "two")),
        (True, lambda: chat(port, tenant, "picky")),
        (False, lambda: chat(port, tenant, "hedged")),
        (False, lambda: chat(port, tenant, headers={"omni-tags": "near"})),
        (False, lambda: chat(port, tenant, headers={"omni-timeout-ms": "500"})),
        (False, lambda: chat(port, tenant, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})),
    ]
    for expected, ask_it in ways:
        taken.clear()
        assert (await ask_it()).status == 200
        assert taken == [expected]


async def test_a_connection_that_died_idle_is_replaced_and_billed_once(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, taken: list[bool]
) -> None:
    tenant = await control.tenant()
    await warm(gateway, tenant)
    backend.received.clear()

    async def hangs_up(_: Received, writer: asyncio.StreamWriter) -> None:
        backend.handler = says(whole(completion()))
        writer.close()

    backend.handler = hangs_up
    assert (await chat(gateway.ports.public, tenant)).status == 200
    assert taken[-1]
    assert len(backend.received) == 2
    assert len(await control.wait_events(tenant.key.tenant_id, 2)) == 2
    assert await control.holds(tenant.key.tenant_id) == 0


@pytest.mark.parametrize("first", [whole(b"{}", 503), whole(b"{}"), whole(b"no JSON"), b"HTTP/1.1 nonsense\r\n\r\n"])
async def test_a_target_that_fails_is_followed_by_the_next(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, taken: list[bool], first: bytes
) -> None:
    tenant = await control.tenant()
    await warm(gateway, tenant, "two")
    asked: list[str] = []

    async def fails_once(received: Received, writer: asyncio.StreamWriter) -> None:
        asked.append(orjson.loads(received.body)["model"])
        writer.write(first if len(asked) == 1 else whole(completion()))

    backend.handler = fails_once
    assert (await chat(gateway.ports.public, tenant, "two")).status == 200
    assert taken[-1]
    assert asked == ["a", "b"]
    events = await control.wait_events(tenant.key.tenant_id, 2)
    assert [event.attributes["target"] for event in events] == ["a@openai", "b@openai"]


async def test_the_clients_time_is_not_the_targets_fault(
    shared_redis: RedisServer, control: ControlPlane, backend_server: tuple[FakeBackend, str], backend: FakeBackend,
    start_gateway: StartGateway, taken: list[bool],
) -> None:  # fmt: skip
    gateway = await start_gateway(shared_redis.url, request_timeout_seconds=0.4)
    two = model("two", target("a"), target("b", priority=1))
    await publish(control, gateway, [provider(backend_server[1])], [two])
    backend.handler = says(whole(completion()))
    tenant = await control.tenant()
    await warm(gateway, tenant, "two")
    backend.received.clear()
    late = asyncio.Event()

    async def waits(_: Received, __: asyncio.StreamWriter) -> None:
        await late.wait()

    backend.handler = waits
    reply = await chat(gateway.ports.public, tenant, "two")
    late.set()
    assert taken[-1]
    assert (reply.status, code(reply)) == (504, "deadline_exceeded")
    assert [orjson.loads(each.body)["model"] for each in backend.received] == ["a"]


async def test_an_error_of_the_clients_passes(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, taken: list[bool]
) -> None:
    tenant = await control.tenant()
    await warm(gateway, tenant)
    backend.handler = says(whole(b'{"error":{"message":"too long","type":"invalid_request_error"}}', 400))
    reply = await chat(gateway.ports.public, tenant)
    assert taken[-1]
    assert reply.status == 400
    assert b"too long" in reply.body


async def test_a_client_that_leaves_pays_what_was_read(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, taken: list[bool]
) -> None:
    tenant = await control.tenant()
    await warm(gateway, tenant)
    reached, late = asyncio.Event(), asyncio.Event()

    async def waits(_: Received, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await late.wait()
        writer.write(whole(completion()))

    backend.handler = waits
    client = await Client.connect(gateway.ports.public)
    body = orjson.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]})
    client.send(request("POST", CHAT, {**tenant.bearer, "content-type": "application/json"}, body))
    await reached.wait()
    client.abort()
    assert taken[-1]
    events = await control.wait_events(tenant.key.tenant_id, 2)
    late.set()
    assert events[-1].status == 499
    assert events[-1].quantities["input_tokens"] > 0
    assert "output_tokens" not in events[-1].quantities


async def test_a_limit_refuses_with_its_headers(gateway: Gateway, control: ControlPlane, taken: list[bool]) -> None:
    tenant = await control.tenant(requests_per_minute=60, request_burst=1)
    await warm(gateway, tenant)
    reply = await chat(gateway.ports.public, tenant)
    assert taken[-1]
    assert (reply.status, code(reply)) == (429, "rate_limit_exceeded")
    assert reply.headers["ratelimit-remaining"] == "0"
    assert int(reply.headers["retry-after"]) >= 1


async def test_a_ceiling_that_the_worst_case_breaks_is_lowered(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, taken: list[bool]
) -> None:
    tenant = await control.tenant()
    await budget(control, tenant, credit_nanos=2_000 * PER_TOKEN)
    await warm(gateway, tenant)
    backend.received.clear()
    assert (await chat(gateway.ports.public, tenant, max_tokens=100_000)).status == 200
    assert taken[-1]
    assert orjson.loads(backend.received[0].body)["max_tokens"] < 2_000


async def test_an_answer_without_usage_is_counted(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, taken: list[bool]
) -> None:
    tenant = await control.tenant()
    await warm(gateway, tenant)
    row = orjson.loads(completion())
    del row["usage"]
    backend.handler = says(whole(orjson.dumps(row)))
    assert (await chat(gateway.ports.public, tenant)).status == 200
    assert taken[-1]
    events = await control.wait_events(tenant.key.tenant_id, 2)
    assert events[-1].attributes["estimated"].startswith("no_usage/")


async def test_redis_that_dies_meanwhile_leaves_the_event_on_disk(
    own_redis: RedisServer, own_control: ControlPlane, backend_server: tuple[FakeBackend, str], backend: FakeBackend,
    start_gateway: StartGateway, taken: list[bool],
) -> None:  # fmt: skip
    gateway = await start_gateway(own_redis.url)
    await publish(own_control, gateway, [provider(backend_server[1])], [model("gpt", target())])
    backend.handler = says(whole(completion()))
    tenant = await own_control.tenant()
    await warm(gateway, tenant)

    async def after_redis(_: Received, writer: asyncio.StreamWriter) -> None:
        own_redis.stop()
        writer.write(whole(completion()))

    backend.handler = after_redis
    assert (await chat(gateway.ports.public, tenant)).status == 200
    assert taken[-1]
    own_redis.start()

    async def replayed() -> bool:
        try:
            await own_control.make_ready()
            return bool(await own_control.events(tenant.key.tenant_id))
        except redis.exceptions.ConnectionError:
            return False

    await eventually(replayed, 15)


async def test_a_drain_waits_for_them(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, taken: list[bool]
) -> None:
    tenant = await control.tenant()
    await warm(gateway, tenant)
    reached, go = asyncio.Event(), asyncio.Event()

    async def waits(_: Received, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await go.wait()
        writer.write(whole(completion()))

    backend.handler = waits
    asked = asyncio.create_task(chat(gateway.ports.public, tenant))
    await reached.wait()
    assert taken[-1]
    draining = asyncio.create_task(gateway.drain(5))
    await asyncio.sleep(1.3)
    go.set()
    reply = await asked
    await draining
    assert reply.status == 200
    assert reply.headers["connection"] == "close"


@pytest.mark.skipif(is_compiled(), reason="what is compiled cannot be patched")
async def test_what_breaks_is_answered_and_logged(
    own_redis: RedisServer, own_control: ControlPlane, backend_server: tuple[FakeBackend, str], backend: FakeBackend,
    start_gateway: StartGateway, logger: RecordingLogger, taken: list[bool], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """In a Redis of its own: the hold is left to the reaper."""
    gateway = await start_gateway(own_redis.url)
    await publish(own_control, gateway, [provider(backend_server[1])], [model("gpt", target())])
    backend.handler = says(whole(completion()))
    tenant = await own_control.tenant()
    await warm(gateway, tenant)

    def breaks(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(Planner, "outcome", breaks)
    reply = await chat(gateway.ports.public, tenant)
    assert taken[-1]
    assert (reply.status, code(reply)) == (500, "internal_error")
    assert "request_failed" in [event for event, _ in logger.lines]
    monkeypatch.undo()
    assert (await chat(gateway.ports.public, tenant)).status == 200


async def test_a_stream_goes_on_in_a_task_and_gives_its_connection_back(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()
    backend.handler = streams(delta("Hi"), usage_event(3, 1), DONE)
    for _ in range(5):
        assert (await chat(gateway.ports.public, tenant, stream=True)).complete
    assert backend.connections == 1
    assert len(await control.wait_events(tenant.key.tenant_id, 5)) == 5


async def test_an_event_that_is_cut_in_its_next_line_is_waited_for(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()
    first = delta("Hi").removesuffix(b"\n")

    async def in_pieces(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for piece in (first + b"i", b"d: 7\n\n" + usage_event(3, 1) + DONE):
            writer.write(chunk(piece))
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(b"0\r\n\r\n")

    backend.handler = in_pieces
    reply = await chat(gateway.ports.public, tenant, stream=True)
    assert b"id: 7" in reply.body
    assert b"provider_failed" not in reply.body


async def test_what_follows_a_stream_ends_its_connection(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()

    async def says_more(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        rest = b"".join(map(chunk, (delta("Hi"), usage_event(3, 1), DONE)))
        writer.write(rest + b"0\r\n\r\n" + whole(completion("from nobody")))

    backend.handler = says_more
    for _ in range(2):
        reply = await chat(gateway.ports.public, tenant, stream=True)
        assert b"Hi" in reply.body
        assert b"from nobody" not in reply.body
    assert backend.connections == 2
