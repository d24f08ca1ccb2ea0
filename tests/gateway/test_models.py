"""Requests for models of providers: what goes out, what comes back, what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from omni.contracts.money import PriceBook, Rate
from omni.gateway.app import Gateway
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import (
    CHAT,
    DONE,
    KEY,
    PER_TOKEN,
    chat,
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
from tests.gateway.support import Client, ControlPlane, FakeBackend, Received, RedisServer, ask, request


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    backend: FakeBackend,
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:
    """A gateway with one model `gpt` at the scripted provider."""
    assert backend
    started = await start_gateway(shared_redis.url)
    cost = {"input_tokens": Rate(0, 100, 1), "output_tokens": Rate(0, 200, 1)}
    await publish(control, started, [provider(backend_server[1])], [model("gpt", target(cost=cost))])
    yield started


@pytest.fixture
def port(gateway: Gateway) -> int:
    return gateway.ports.public


async def test_a_completion_passes_untouched_and_is_counted(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    details = {"cached_tokens": 4, "audio_tokens": 0}
    body = completion(
        read=10, written=7, prompt_tokens_details=details, completion_tokens_details={"reasoning_tokens": 2}
    )
    backend.handler = says(whole(body))
    tenant = await control.tenant()
    sent = orjson.dumps({"messages": [{"role": "user", "content": "Hi"}], "model": "gpt", "temperature": 0.5})
    client = await Client.connect(port)
    client.send(request("POST", CHAT, {**tenant.bearer, "content-type": "application/json"}, sent))
    reply = await client.reply()
    client.close()
    assert (reply.status, reply.body) == (200, body)
    received = backend.received[0]
    assert (received.target, received.body) == ("/v1/chat/completions", sent)
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in received.headers
    assert tenant.secret not in str(received.headers)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    spend = 17 * PER_TOKEN
    assert event.quantities == {
        "requests": 1, "cached_input_tokens": 4, "input_tokens": 6, "reasoning_tokens": 2, "output_tokens": 5,
        "cost_nanos": 6 * 100 + 5 * 200, "spend_nanos": spend,
    }  # fmt: skip
    assert (event.model, event.attributes) == ("gpt", {"provider": "openai", "target": "gpt@openai"})


async def test_a_stream_asks_for_usage_and_keeps_it_from_a_client_that_did_not(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    events = [delta("Hel"), delta("lo", "stop"), usage_event(9, 2), DONE]
    backend.handler = streams(*events)
    tenant = await control.tenant()
    reply = await chat(port, tenant, stream=True)
    assert reply.status == 200
    assert reply.complete
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body == events[0] + events[1] + DONE
    assert orjson.loads(backend.received[0].body)["stream_options"] == {"include_usage": True}
    asked = await chat(port, tenant, stream=True, stream_options={"include_usage": True})
    assert asked.body == b"".join(events)
    for event in await control.wait_events(tenant.key.tenant_id, 2):
        assert event.quantities["input_tokens"] == 9
        assert event.quantities["output_tokens"] == 2
        assert "estimated" not in event.attributes


async def test_an_answer_without_usage_is_counted_by_a_tokenizer(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    row = orjson.loads(completion("hello world"))
    del row["usage"]
    backend.handler = says(whole(orjson.dumps(row)))
    tenant = await control.tenant()
    asked = [{"role": "user", "content": "hello world"}]
    assert (await chat(port, tenant, messages=asked)).status == 200
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.attributes["estimated"] == "no_usage/tokenizer"
    counts = {meter: event.quantities[meter] for meter in ("requests", "input_tokens", "output_tokens")}
    assert counts == {"requests": 1, "input_tokens": 2, "output_tokens": 2}


async def test_a_recording_is_sold_by_time_even_where_its_provider_counts_tokens(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str]
) -> None:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 3}
    backend.handler = says(whole(orjson.dumps({"text": "Good morning.", "usage": usage})))
    prices = PriceBook("EUR", {"": {"audio_ms": (Rate(0, 5, 1),)}})
    await publish(control, gateway, [provider(backend_server[1])], [model("gpt", target())], prices)
    tenant = await control.tenant()
    parts = [b'name="model"\r\n\r\ngpt', b'name="file"; filename="a.mp3"\r\n\r\n' + bytes(4000)]
    body = b"".join(b"--b\r\ncontent-disposition: form-data; %b\r\n" % part for part in parts) + b"--b--\r\n"
    headers = {**tenant.bearer, "content-type": "multipart/form-data; boundary=b"}
    assert (await ask(gateway.ports.public, "POST", "/v1/audio/transcriptions", headers, body)).status == 200
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities["input_tokens"] == 14
    assert event.quantities["audio_ms"] == len(body) // 4
    assert event.quantities["spend_nanos"] == 5 * event.quantities["audio_ms"]
    assert event.attributes["estimated"] == "no_usage/bytes"


async def test_a_stream_without_usage_is_counted_by_bytes(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = streams(delta("x" * 40, "stop"), DONE)
    tenant = await control.tenant()
    await chat(port, tenant, stream=True)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.attributes["estimated"] == "no_usage/bytes"
    assert event.quantities["output_tokens"] == 10


async def test_a_client_that_hangs_up_pays_for_input_and_what_was_streamed(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    never = asyncio.Event()
    backend.handler = streams(delta("x" * 400), wait=never)
    tenant = await control.tenant()
    client = await Client.connect(port)
    body = orjson.dumps({"model": "gpt", "messages": [{"role": "user", "content": "y" * 400}], "stream": True})
    client.send(request("POST", CHAT, {**tenant.bearer, "content-type": "application/json"}, body))
    await client.head()
    await client.chunk()
    client.abort()
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    never.set()
    assert event.status == 499
    assert event.attributes["estimated"] == "client_left/bytes"
    assert event.quantities["output_tokens"] == 100, "400 bytes"
    assert 100 <= event.quantities["input_tokens"] <= 200


async def test_a_stream_that_breaks_off_says_so_and_counts_what_came(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = streams(delta("x" * 40))
    tenant = await control.tenant()
    reply = await chat(port, tenant, stream=True)
    assert reply.complete
    assert reply.body.startswith(delta("x" * 40))
    error = orjson.loads(reply.body.split(b"\n\n")[1][6:])["error"]
    assert error["code"] == "provider_failed"
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities["output_tokens"]) == (502, 10)


@pytest.mark.parametrize(
    "lie",
    [
        whole(b'{"error":{"message":"boo"}}'),
        whole(b"<html>"),
        whole(b'{"choices":'),
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{}",
        whole(b"{}", 500),
        whole(b"{}", 401),
        b"nonsense\r\n\r\n",
    ],
)
async def test_a_provider_that_lies_is_a_502_and_costs_nothing(
    port: int, control: ControlPlane, backend: FakeBackend, lie: bytes
) -> None:
    async def handler(_: object, writer: asyncio.StreamWriter) -> None:
        writer.write(lie)
        await writer.drain()
        writer.close()

    backend.handler = handler
    tenant = await control.tenant()
    reply = await chat(port, tenant)
    assert reply.status == 502
    assert code(reply) in ("provider_failed", "provider_misconfigured")
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities) == (502, {})


async def test_a_providers_refusal_reaches_the_client_without_our_key(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    error = {"error": {"message": f"bad {KEY}", "type": "invalid_request_error", "param": "x", "code": "c"}}
    backend.handler = says(whole(orjson.dumps(error), 400))
    tenant = await control.tenant()
    reply = await chat(port, tenant)
    assert reply.status == 400
    assert orjson.loads(reply.body)["error"] == {**error["error"], "message": "bad …"}


async def test_an_unknown_model_lists_those_that_there_are(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    reply = await chat(port, tenant, "gpt-99")
    assert (reply.status, code(reply)) == (404, "model_not_found")
    assert "gpt" in orjson.loads(reply.body)["error"]["message"]
    narrow = await control.tenant(models=frozenset(("other",)))
    assert code(await chat(port, narrow)) == "model_not_found"


async def test_test_keys_never_reach_a_provider(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant(key={"mode": "test"})
    reply = await chat(port, tenant)
    assert (reply.status, code(reply)) == (403, "test_key_not_allowed")
    assert not backend.received


async def test_bad_bodies(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await Client.connect(port)
    head = {**tenant.bearer, "content-type": "application/json"}
    for body, expected in (
        (b"{", "invalid_json"), (b"[]", "invalid_json"), (b"\xff", "invalid_json"), (b"{}", "model_required"),
        (b'{"model":"gpt","max_tokens":-1}', "invalid_request"), (b'{"model":"gpt","n":1000}', "invalid_request"),
    ):  # fmt: skip
        client.send(request("POST", CHAT, head, body))
        reply = await client.reply()
        assert (reply.status, code(reply)) == (400, expected)
    client.close()


async def test_a_shutdown_ends_streams_with_a_typed_error(
    gateway: Gateway, control: ControlPlane, backend: FakeBackend
) -> None:
    never = asyncio.Event()
    backend.handler = streams(delta("x" * 40), wait=never)
    tenant = await control.tenant()
    asked = asyncio.create_task(chat(gateway.ports.public, tenant, stream=True))
    while not backend.received:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    await gateway.drain(0.1)
    reply = await asked
    never.set()
    assert reply.complete
    assert b"server_shutdown" in reply.body
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.status == 503
    assert event.quantities["output_tokens"] == 10


async def test_the_catalogue_is_listed_beside_the_platforms_own_models(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    async def own(asked: Received, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/v1/models":
            writer.write(whole(orjson.dumps({"object": "list", "data": [{"id": "mini", "object": "model"}]})))
        else:
            writer.write(whole(b'{"error":{}}', 404))

    backend.handler = own
    tenant = await control.tenant()
    listed = await ask(port, "GET", "/v1/models", tenant.bearer)
    assert [each["id"] for each in orjson.loads(listed.body)["data"]] == ["mini", "gpt"]
    one = await ask(port, "GET", "/v1/models/gpt", tenant.bearer)
    assert (one.status, orjson.loads(one.body)["id"]) == (200, "gpt")
    assert (await ask(port, "GET", "/v1/models/nothing", tenant.bearer)).status == 404
    narrow = await control.tenant(models=frozenset(("other",)))
    listed = await ask(port, "GET", "/v1/models", narrow.bearer)
    assert [each["id"] for each in orjson.loads(listed.body)["data"]] == ["mini"]
    assert (await ask(port, "GET", "/v1/models/gpt", narrow.bearer)).status == 404
    assert [event.status for event in await control.wait_events(tenant.key.tenant_id, 3)] == [200, 200, 404]
