"""Realtime sessions: what passes, what is counted, and how each side's end reaches the other."""

from __future__ import annotations

import asyncio
import base64
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from omni.contracts import redis_names
from omni.contracts.money import Budget, PriceBook, Rate
from omni.contracts.snapshots import PolicySnapshot, TenantSnapshot
from omni.gateway.app import Gateway
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import KEY, budget, model, provider, publish, target
from tests.gateway.support import Client, ControlPlane, RedisServer, Reply, Tenant, ask, stranger

METERS = ("input_tokens", "output_tokens", "input_audio_tokens", "output_audio_tokens")
PRICES = PriceBook("EUR", {"": {meter: (Rate(0, 1_000, 1),) for meter in METERS}})
OPERATIONS = frozenset(("realtime",))
Talk = Callable[[ServerConnection], Awaitable[None]]


class FakeProvider:
    """A WebSocket server that talks as scripted, or refuses the handshake."""

    def __init__(self) -> None:
        self.talk: Talk = echo
        self.refuse_with: tuple[int, dict[str, str], str] | None = None
        self.requests: list[Request] = []
        self.ended = asyncio.Event()
        self.url = ""

    async def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self.refuse_with is None:
            return None
        status, headers, body = self.refuse_with
        response = connection.respond(HTTPStatus(status), body)
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def handle(self, connection: ServerConnection) -> None:
        try:
            await self.talk(connection)
            await connection.wait_closed()
        except ConnectionClosed:
            pass
        finally:
            self.ended.set()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    server = FakeProvider()
    async with serve(
        server.handle, "127.0.0.1", 0, process_request=server.process_request, max_size=None, compression=None
    ) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer, control: ControlPlane, fake: FakeProvider, start_gateway: StartGateway
) -> Gateway:
    return await started(shared_redis, control, fake, start_gateway)


async def started(
    shared_redis: RedisServer, control: ControlPlane, fake: FakeProvider, start: StartGateway, **changes: Any
) -> Gateway:
    """A gateway with one realtime model `voice` at the scripted provider."""
    one = await start(shared_redis.url, **changes)
    route = model("voice", target("voice-1"), operations=OPERATIONS)
    await publish(control, one, [provider(fake.url)], [route], PRICES)
    return one


def url(gateway: Gateway, name: str = "voice") -> str:
    return f"ws://127.0.0.1:{gateway.ports.public}/v1/realtime?model={name}"


def opened(gateway: Gateway, tenant: Tenant, **options: Any) -> connect:
    headers = options.pop("headers", tenant.bearer)
    return connect(url(gateway), additional_headers=headers, max_size=None, proxy=None, ping_interval=None, **options)


def done(number: int, usage: dict[str, Any] | None) -> str:
    response = {"id": f"resp_{number}", "object": "realtime.response", "status": "completed", "usage": usage}
    return orjson.dumps({"type": "response.done", "event_id": "e", "response": response}).decode()


def event(kind: str, **members: Any) -> str:
    return orjson.dumps({"type": kind, **members}).decode()


def tokens(read: int, written: int) -> dict[str, int]:
    return {"total_tokens": read + written, "input_tokens": read, "output_tokens": written}


def says(*messages: str | bytes) -> Talk:
    """Says these at once, and then keeps silent."""

    async def talk(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)
        async for _ in connection:
            pass

    return talk


async def end_of(client: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason with which the gateway ends the session."""
    async with asyncio.timeout(5):
        await client.wait_closed()
    return client.close_code, client.close_reason


async def test_text_and_binary_pass_both_ways(gateway: Gateway, control: ControlPlane, fake: FakeProvider) -> None:
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        for message in ("", "hello", "ä" * 70_000, b"", b"\x00\xff" * 200, bytes(3_000_000)):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["one ", "two ", "three"])
        assert await client.recv() == "one two three"
        await client.send([b"a" * 100_000, b"b"])
        assert await client.recv() == b"a" * 100_000 + b"b"
        await (await client.ping(b"are you there"))
    (request,) = fake.requests
    assert request.path == "/v1/realtime?model=voice-1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    for private in ("x-api-key", "sec-websocket-protocol", "sec-websocket-extensions", "origin", "openai-beta"):
        assert private not in request.headers
    assert tenant.secret not in str(request.headers)
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.model, found.endpoint) == (101, "voice", "GET /v1/realtime")
    assert found.quantities == {"requests": 1}
    assert found.attributes == {"provider": "openai", "target": "voice-1@openai"}
    assert await control.holds(tenant.key.tenant_id) == 0


async def test_fragments_from_the_provider_pass_with_what_comes_between(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    usage = done(1, tokens(10, 5))

    async def talk(connection: ServerConnection) -> None:
        async def pieces() -> AsyncIterator[str]:
            for start in range(0, len(usage), 7):
                yield usage[start : start + 7]
                await (await connection.ping())

        await connection.send(pieces())

    fake.talk = talk
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        assert await client.recv() == usage
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert found.quantities == {"requests": 1, "input_tokens": 10, "output_tokens": 5, "spend_nanos": 15_000}


async def test_usage_is_billed_as_the_provider_counts_it(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    details = {
        "text_tokens": 30, "audio_tokens": 70, "image_tokens": 0, "cached_tokens": 60,
        "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 50},
    }  # fmt: skip
    first = {**tokens(100, 50), "input_token_details": details}
    first["output_token_details"] = {"text_tokens": 20, "audio_tokens": 30}
    heard = event(
        "conversation.item.input_audio_transcription.completed",
        transcript="Hi",
        usage={"type": "duration", "seconds": 2},
    )
    fake.talk = says("no JSON", "[]", '{"type":7}', heard, done(1, first), done(2, tokens(1, 2)), done(3, None))
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        for _ in range(7):
            await client.recv()
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert found.quantities == {
        "requests": 1, "cached_input_tokens": 60, "input_audio_tokens": 20, "input_tokens": 21,
        "output_audio_tokens": 30, "output_tokens": 22, "audio_ms": 2000, "spend_nanos": (101 + 52) * 1_000,
    }  # fmt: skip
    assert "estimated" not in found.attributes


async def test_a_response_under_way_is_estimated_when_the_client_vanishes(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    began = event("response.created", response={"id": "resp_2"})
    text = event("response.output_audio_transcript.delta", response_id="resp_2", delta="x" * 40)
    sound = base64.b64encode(bytes(24_000)).decode()
    audio = event("response.output_audio.delta", response_id="resp_2", delta=sound)
    fake.talk = says(done(1, tokens(33, 4)), began, text, audio)
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        for _ in range(4):
            await client.recv()
        client.transport.abort()
        async with asyncio.timeout(0.2):
            await fake.ended.wait()
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    counts = {meter: found.quantities[meter] for meter in ("input_tokens", "output_tokens", "output_audio_tokens")}
    assert counts == {"input_tokens": 66, "output_tokens": 14, "output_audio_tokens": 10}
    assert (found.status, found.attributes["estimated"]) == (499, "client_left/bytes")
    assert await control.holds(tenant.key.tenant_id) == 0


async def test_a_hard_budget_ends_the_session(gateway: Gateway, control: ControlPlane, fake: FakeProvider) -> None:
    tenant = await control.tenant()
    await budget(control, tenant, Budget("tenant", tenant.key.tenant_id, "month", 2_000_000, hard=True))

    async def talk(connection: ServerConnection) -> None:
        for number in range(100):
            await connection.recv()
            await connection.send(done(number, tokens(300, 200)))

    fake.talk = talk
    served = 0
    async with opened(gateway, tenant) as client:
        try:
            while served < 100:
                await client.send("next")
                await client.recv()
                served += 1
        except ConnectionClosed:
            pass
        assert await end_of(client) == (1008, "budget_exceeded")
    assert served == 4
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities["spend_nanos"]) == (429, served * 500_000)
    assert found.quantities["spend_nanos"] <= 2_000_000


async def test_what_is_used_up_already_opens_nothing(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    tenant = await control.tenant()
    await budget(control, tenant, Budget("tenant", tenant.key.tenant_id, "month", 1_000, hard=True))
    with pytest.raises(InvalidStatus) as refused:
        await opened(gateway, tenant)
    assert refused.value.response.status_code == 429
    assert not fake.requests


async def test_the_provider_breaks_off(gateway: Gateway, control: ControlPlane, fake: FakeProvider) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send("one")
        connection.transport.abort()

    fake.talk = talk
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        assert await client.recv() == "one"
        assert await end_of(client) == (1011, "provider_failed")
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities) == (502, {"requests": 1})


@pytest.mark.parametrize(
    "raw", [b"\x81\x85abcdhello", b"\xc1\x01a", b"\x83\x00", b"\x09\x00", b"\x80\x00", b"\x81\x7e\x00\x01a"]
)
async def test_a_provider_that_breaks_the_protocol(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider, raw: bytes
) -> None:
    async def talk(connection: ServerConnection) -> None:
        connection.transport.write(b"\x81\x01a" + raw)

    fake.talk = talk
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        assert await client.recv() == "a"
        assert await end_of(client) == (1011, "provider_failed")
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert found.status == 502


async def test_a_response_that_outgrows_a_budget_is_stopped_within_it(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    tenant = await control.tenant()
    await budget(control, tenant, Budget("tenant", tenant.key.tenant_id, "month", 3_000_000, hard=True))

    async def talk(connection: ServerConnection) -> None:
        await connection.send(event("response.created", response={"id": "r"}))
        while True:
            await connection.send(event("response.output_text.delta", response_id="r", delta="x" * 400))
            await asyncio.sleep(0.005)

    fake.talk = talk
    async with opened(gateway, tenant) as client:
        try:
            while True:
                await client.recv()
        except ConnectionClosed:
            pass
        assert (client.close_code, client.close_reason) == (1008, "budget_exceeded")
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert found.status == 429
    assert found.attributes["estimated"] == "budget_exceeded/bytes"
    assert 2_000_000 < found.quantities["spend_nanos"] <= 3_000_000


async def test_the_providers_goodbye_is_the_clients(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.close(4001, "session expired")

    fake.talk = talk
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        assert await end_of(client) == (4001, "session expired")
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert found.status == 101


@pytest.mark.parametrize(
    ("said", "expected", "code"),
    [
        ((401, {}, "{}"), 502, "provider_misconfigured"),
        ((404, {}, "{}"), 502, "provider_misconfigured"),
        ((429, {"retry-after": "7"}, "{}"), 429, "provider_rate_limited"),
        ((500, {}, "boo"), 502, "provider_failed"),
        ((200, {}, "hello"), 502, "provider_failed"),
        ((400, {}, '{"error":{"message":"bad voice","code":"v"}}'), 400, "v"),
    ],
)
async def test_a_provider_that_refuses_the_handshake(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider, said: tuple[int, dict[str, str], str], expected: int,
    code: str,
) -> None:  # fmt: skip
    fake.refuse_with = said
    tenant = await control.tenant()
    with pytest.raises(InvalidStatus) as refused:
        await opened(gateway, tenant)
    response = refused.value.response
    assert (response.status_code, orjson.loads(response.body or b"")["error"]["code"]) == (expected, code)
    if expected == 429:
        assert response.headers["retry-after"] == "7"
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities) == (expected, {})
    assert await control.holds(tenant.key.tenant_id) == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 X\r\n\r\n",
        b"HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"HTTP/1.1 101 X\r\nx: " + b"y" * 400_000,
        b"HTTP/1.1 400 X\r\ncontent-length: 9999999\r\n\r\n" + b"y" * 400_000,
        b"",
    ],
)  # fmt: skip
async def test_a_provider_that_lies_in_the_handshake(
    shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway, answer: bytes
) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(lie, "127.0.0.1", 0)
    liar = FakeProvider()
    liar.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gateway = await started(shared_redis, control, liar, start_gateway)
    tenant = await control.tenant()
    with pytest.raises(InvalidStatus) as refused:
        await opened(gateway, tenant)
    assert refused.value.response.status_code == 502
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities) == (502, {})
    server.close()


async def test_a_shutdown_ends_sessions_with_a_typed_code(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    fake.talk = says(done(1, tokens(3, 4)))
    tenant = await control.tenant()
    async with opened(gateway, tenant) as client:
        await client.recv()
        metrics = await ask(gateway.ports.metrics, "GET", "/metrics")
        assert b"\nomni_gateway_open_streams 1.0\n" in metrics.body
        draining = asyncio.create_task(gateway.drain(0.2))
        assert await end_of(client) == (1012, "server_shutdown")
        await draining
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities["output_tokens"]) == (503, 4)
    assert fake.ended.is_set()


async def test_silence_is_borne_for_a_while_and_the_dead_are_noticed(
    shared_redis: RedisServer, control: ControlPlane, fake: FakeProvider, start_gateway: StartGateway
) -> None:
    gateway = await started(
        shared_redis, control, fake, start_gateway, realtime_ping_seconds=0.1, realtime_idle_seconds=0.6
    )
    tenant = await control.tenant()
    loop = asyncio.get_running_loop()
    async with opened(gateway, tenant) as client:
        began = loop.time()
        assert await end_of(client) == (1001, "idle_timeout")
        assert loop.time() - began > 0.5, "pings kept it"
    dead = await raw_opening(gateway, opening(tenant))
    assert (await dead.head()).status == 101
    assert await eventually_ended(dead)
    statuses = [each.status for each in await control.wait_events(tenant.key.tenant_id, 2)]
    assert sorted(statuses) == [101, 499]


async def eventually_ended(client: Client) -> bool:
    """Whether the connection ends; what is said before is passed over."""
    try:
        async with asyncio.timeout(5):
            while await client.reader.read(4096):
                pass
    except ConnectionError:
        pass
    client.close()
    return True


async def test_memory_does_not_grow_with_what_passes(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    piece, pieces = bytes(256 * 1024), 200

    async def talk(connection: ServerConnection) -> None:
        connection.transport.write(b"\x82\x7f" + (len(piece) * pieces).to_bytes(8, "big"))
        for _ in range(pieces):
            connection.transport.write(piece)
            await asyncio.sleep(0)
            while connection.transport.get_write_buffer_size() > len(piece):
                await asyncio.sleep(0.001)

    fake.talk = talk
    tenant = await control.tenant()
    client = await raw_opening(gateway, opening(tenant))
    tracemalloc.start()
    assert (await client.head()).status == 101
    await asyncio.sleep(0.3)  # the client does not read: whoever buffers without bound does it now
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 8 * 1024 * 1024
    left = len(piece) * pieces + 10
    while left:
        left -= len(await client.reader.read(65536))
    client.abort()
    await control.wait_events(tenant.key.tenant_id, 1)


# --- who may ---


async def raw_opening(gateway: Gateway, data: bytes) -> Client:
    client = await Client.connect(gateway.ports.public)
    client.send(data)
    return client


def opening(tenant: Tenant, line: str = "GET /v1/realtime?model=voice HTTP/1.1", **changes: str | None) -> bytes:
    """A raw opening handshake; None leaves a header out."""
    headers: dict[str, str | None] = {
        "host": "gateway", "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "authorization": f"Bearer {tenant.secret}",
    }  # fmt: skip
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([line, *lines, "", ""]).encode()


async def test_the_handshake_is_ours(gateway: Gateway, control: ControlPlane, fake: FakeProvider) -> None:
    tenant = await control.tenant()
    client = await raw_opening(gateway, opening(tenant, sec_websocket_extensions="permessage-deflate"))
    head = await client.head()
    assert (head.status, head.headers["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert "sec-websocket-extensions" not in head.headers
    assert "sec-websocket-protocol" not in head.headers
    client.send(b"\x81\x05hello")  # not masked
    assert await client.reader.read(100) == b"\x88\x10\x03\xeaprotocol_error"
    await eventually_ended(client)
    async with asyncio.timeout(1):
        await fake.ended.wait()


async def test_browsers_send_the_key_as_a_subprotocol(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    tenant = await control.tenant()
    names = ("realtime", f"openai-insecure-api-key.{tenant.secret}", "openai-beta.realtime-v1")
    async with opened(gateway, tenant, headers={}, subprotocols=[Subprotocol(name) for name in names]) as client:
        assert client.subprotocol == "realtime"
        await client.send("hello")
        assert await client.recv() == "hello"
    assert fake.requests[0].headers["openai-beta"] == "realtime=v1"
    assert tenant.secret not in str(fake.requests[0].headers)
    async with opened(gateway, tenant, headers={"x-api-key": tenant.secret}):
        pass
    for headers in ({}, {"authorization": f"Bearer {stranger()}"}, {"authorization": "Basic x"}):
        with pytest.raises(InvalidStatus) as refused:
            await opened(gateway, tenant, headers=headers)
        assert refused.value.response.status_code == 401


async def test_azure_has_its_own_way(
    shared_redis: RedisServer, control: ControlPlane, fake: FakeProvider, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(shared_redis.url)
    tenant = await control.tenant()
    route = model("voice", target("voice 1", "azure"), operations=OPERATIONS)
    for base, path in (
        ("/openai/v1", "/openai/v1/realtime?model=voice%201"),
        ("", "/openai/realtime?api-version=2025-04-01-preview&deployment=voice%201"),
    ):
        place = replace(provider(fake.url, "azure", "azure"), base_url=fake.url + base)
        await publish(control, gateway, [place], [route], PRICES)
        async with opened(gateway, tenant):
            pass
        assert fake.requests[-1].path == path
        assert fake.requests[-1].headers["api-key"] == KEY
        assert "authorization" not in fake.requests[-1].headers


async def test_the_next_target_is_tried(
    shared_redis: RedisServer, control: ControlPlane, fake: FakeProvider, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(shared_redis.url)
    tenant = await control.tenant()
    dead = provider("http://127.0.0.1:1", "dead")
    places = (target("v", "dead"), target("v", "openai", priority=1))
    await publish(
        control, gateway, [dead, provider(fake.url)], [model("voice", *places, operations=OPERATIONS)], PRICES
    )
    async with opened(gateway, tenant) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert found.attributes["target"] == "v@openai"


async def refused(gateway: Gateway, data: bytes) -> tuple[Reply, bool]:
    client = await raw_opening(gateway, data)
    async with asyncio.timeout(5):
        reply = await client.reply()
        closed = await client.at_end()
    client.close()
    return reply, closed


async def test_who_may_not(gateway: Gateway, control: ControlPlane, fake: FakeProvider) -> None:
    tenant = await control.tenant()
    watched = await control.tenant()
    policies = PolicySnapshot(personal_data="redact")
    row = TenantSnapshot(watched.key.tenant_id, watched.plan.code, active=True, policies=policies)
    await control.redis.set(redis_names.tenant_snapshot(watched.key.tenant_id), row.to_json())
    cases = [
        (opening(watched), 403, "realtime_not_allowed"),
        (opening(await control.tenant(models=frozenset(["other"]))), 404, "model_not_found"),
        (opening(await control.tenant(key={"mode": "test"})), 403, "test_key_not_allowed"),
        (opening(await control.tenant(key={"scopes": frozenset(["x"])})), 403, "scope_missing"),
        (opening(tenant, "GET /v1/realtime?model=none HTTP/1.1"), 404, "model_not_found"),
        (opening(tenant, "GET /v1/realtime HTTP/1.1"), 400, "model_required"),
        (opening(tenant, "GET /v1/realtime?model=voice&model=voice HTTP/1.1"), 400, "model_required"),
        (opening(tenant, "GET /v1/realtime?model=voice&call_id=1 HTTP/1.1"), 400, "invalid_request"),
        (opening(tenant, "GET /v1/realtime?model=%ff HTTP/1.1"), 400, "invalid_request"),
    ]
    for data, status, code in cases:
        reply, closed = await refused(gateway, data)
        assert (reply.status, orjson.loads(reply.body)["error"]["code"], closed) == (status, code, True)
    assert not fake.requests
    plain = await ask(gateway.ports.public, "GET", "/v1/realtime?model=voice", tenant.bearer)
    assert (plain.status, plain.headers["upgrade"]) == (426, "websocket")


async def test_one_too_many(gateway: Gateway, control: ControlPlane) -> None:
    tenant = await control.tenant(concurrent_requests=1)
    async with opened(gateway, tenant):
        reply, _ = await refused(gateway, opening(tenant))
        assert orjson.loads(reply.body)["error"]["code"] == "concurrency_limit_exceeded"
        assert (reply.headers["ratelimit-limit"], reply.headers["ratelimit-remaining"]) == ("1", "0")


UNUSUAL: dict[str, dict[str, Any]] = {
    "another protocol": {"upgrade": "h2c"},
    "one of several": {"upgrade": "websocket, h2c"},
    "another version": {"sec_websocket_version": "8"},
    "no version": {"sec_websocket_version": None},
    "no key": {"sec_websocket_key": None},
    "short key": {"sec_websocket_key": "dGhlIHNhbXBsZQ=="},
    "a body": {"content_length": "5"},
    "an empty body": {"content_length": "0"},
    "chunks": {"transfer_encoding": "chunked"},
    "expects": {"expect": "100-continue"},
    "another route": {"line": "GET /v1/models HTTP/1.1"},
    "a longer path": {"line": "GET /v1/realtime/x?model=voice HTTP/1.1"},
    "a whole URL": {"line": "GET http://gateway/v1/realtime?model=voice HTTP/1.1"},
    "another method": {"line": "POST /v1/realtime?model=voice HTTP/1.1"},
    "an old version": {"line": "GET /v1/realtime?model=voice HTTP/1.0"},
    "two upgrades": {"connection": "Upgrade\r\nupgrade: websocket"},
    "two keys": {"connection": "Upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="},
}


@pytest.mark.parametrize("name", UNUSUAL)
async def test_an_unusual_upgrade_is_refused(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider, name: str
) -> None:
    changes = dict(UNUSUAL[name])
    data = opening(await control.tenant(), *([changes.pop("line")] if "line" in changes else []), **changes)
    reply, closed = await refused(gateway, data + b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (reply.status, closed) == (400, True)
    assert not fake.requests


async def test_nothing_may_come_before_or_with_the_handshake(
    gateway: Gateway, control: ControlPlane, fake: FakeProvider
) -> None:
    tenant = await control.tenant()
    reply, closed = await refused(gateway, opening(tenant) + b"\x81\x80abcd")
    assert (reply.status, closed) == (400, True)
    client = await raw_opening(gateway, b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n" + opening(tenant))
    assert (await client.reply()).status == 401
    assert (await client.reply()).status == 400
    assert await client.at_end()
    client.close()
    assert not fake.requests
