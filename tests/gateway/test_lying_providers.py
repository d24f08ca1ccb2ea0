"""Providers whose answers are endless, broken or absurd: right status, bounded memory, billed once or not at all."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import orjson
import pytest
import pytest_asyncio

from omni.gateway.app import Gateway
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import (
    DONE,
    STREAM_HEAD,
    chat,
    chunk,
    completion,
    delta,
    model,
    provider,
    publish,
    says,
    target,
    usage_event,
    whole,
)
from tests.gateway.support import ControlPlane, FakeBackend, Received, RedisServer

LIMIT_BYTES = 256 * 1024
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED_HEAD = JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"
Handler = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend: FakeBackend,
    backend_server: tuple[FakeBackend, str],
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:
    assert backend
    started = await start_gateway(
        shared_redis.url, model_answer_limit_bytes=LIMIT_BYTES, buffered_answer_limit_bytes=64 * 1024
    )
    await publish(control, started, [provider(backend_server[1])], [model("gpt", target())])
    yield started


@pytest.fixture
def port(gateway: Gateway) -> int:
    return gateway.ports.public


def endless(head: bytes, piece: bytes) -> Handler:
    """Says the head, and then the piece for as long as anybody listens, but for 64 MiB at most."""

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _piece in range(64 * 1024 * 1024 // len(piece)):
            if writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()
        writer.close()

    return handler


@contextmanager
def bounded_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024 * 1024


LETTERS = b"y" * 65536
ENDLESS = {
    "chunked": (CHUNKED_HEAD, chunk(b" " * 65536)),
    "until it closes": (JSON_HEAD + b"\r\n", b" " * 65536),
    "as long as it says": (JSON_HEAD + b"content-length: 67108864\r\n\r\n", b" " * 65536),
    "a length like no other": (JSON_HEAD + b"content-length: 9223372036854775807\r\n\r\n", b" " * 65536),
    "a header": (JSON_HEAD + b"x: ", LETTERS),
    "a header's name": (JSON_HEAD, LETTERS),
    "headers": (JSON_HEAD, b"x: y\r\n" * 8192),
    "a reason": (b"HTTP/1.1 200 ", LETTERS),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 64),
    "interim answers with headers": (b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 64),
    "a trailer": (CHUNKED_HEAD + chunk(b"{}") + b"0\r\nx: ", LETTERS),
    "trailers": (CHUNKED_HEAD + chunk(b"{}") + b"0\r\n", b"x: y\r\n" * 8192),
    "a chunk's extension": (CHUNKED_HEAD + b"2;x=", LETTERS),
    "an error": (b"HTTP/1.1 400 X\r\ntransfer-encoding: chunked\r\n\r\n", chunk(b" " * 65536)),
    "events that were not asked for": (STREAM_HEAD, chunk(delta("x" * 1000))),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_endless_answers_are_cut_and_cost_nothing(
    port: int, control: ControlPlane, backend: FakeBackend, name: str
) -> None:
    backend.handler = endless(*ENDLESS[name])
    tenant = await control.tenant()
    with bounded_memory():
        reply = await chat(port, tenant)
    assert (reply.status, code(reply)) == (502, "provider_failed")
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities) == (502, {})
    assert await control.holds(tenant.key.tenant_id) == 0


ENDLESS_STREAMS = {
    "an event": chunk(b"y" * 65536),
    "an event in lines": chunk(b"data: " + b"y" * 65530 + b"\n"),
    "a comment": chunk(b":" + b"y" * 65535),
    "a chunk's extension": LETTERS,
    "a trailer": LETTERS,
}


@pytest.mark.parametrize("name", ENDLESS_STREAMS)
async def test_an_endless_event_ends_the_stream_and_what_came_is_billed_once(
    port: int, control: ControlPlane, backend: FakeBackend, name: str
) -> None:
    before = {"a chunk's extension": b"2;x=", "a trailer": b"0\r\nx: "}.get(name, chunk(b"data: "))
    backend.handler = endless(STREAM_HEAD + chunk(delta("x" * 40)) + before, ENDLESS_STREAMS[name])
    tenant = await control.tenant()
    with bounded_memory():
        reply = await chat(port, tenant, stream=True)
    assert (reply.status, reply.complete) == (200, True)
    assert reply.body.startswith(delta("x" * 40))
    assert orjson.loads(reply.body.split(b"\n\n")[1][6:])["error"]["code"] == "provider_failed"
    assert len(reply.body) < 4096
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities["output_tokens"]) == (502, 10)
    assert found.attributes["estimated"] == "provider_failed/bytes"
    assert await control.holds(tenant.key.tenant_id) == 0


def cut(data: bytes) -> Handler:
    """Says this and hangs up."""

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return handler


TRUNCATED = {
    "within an event": STREAM_HEAD + chunk(delta("x" * 40)) + chunk(delta("y" * 40)[:50]),
    "within a chunk": STREAM_HEAD + chunk(delta("x" * 40)) + chunk(delta("y" * 40))[:60],
    "between chunks": STREAM_HEAD + chunk(delta("x" * 40)),
    "without the last event": STREAM_HEAD + chunk(delta("x" * 40)) + b"0\r\n\r\n",
    "in an error of its own": STREAM_HEAD + chunk(delta("x" * 40)) + chunk(b'data: {"error":{"message":"boo"}}\n\n'),
    "in what is no JSON": STREAM_HEAD + chunk(delta("x" * 40)) + chunk(b"data: {nonsense\n\n"),
    "in what is no chunk": STREAM_HEAD + chunk(delta("x" * 40)) + b"zz\r\n",
}


@pytest.mark.parametrize("name", TRUNCATED)
async def test_truncated_streams_say_so_and_are_billed_once(
    port: int, control: ControlPlane, backend: FakeBackend, name: str
) -> None:
    backend.handler = cut(TRUNCATED[name])
    tenant = await control.tenant()
    reply = await chat(port, tenant, stream=True)
    assert (reply.status, reply.complete) == (200, True)
    assert b'"error"' in reply.body
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities["output_tokens"]) == (502, 10)
    assert "estimated" in found.attributes
    assert await control.holds(tenant.key.tenant_id) == 0
    assert len(await control.events(tenant.key.tenant_id)) == 1


async def test_what_comes_after_the_end_of_a_stream_is_not_billed_again(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    again = chunk(usage_event(9_000, 9_000)) + chunk(DONE)
    end = chunk(usage_event(9, 2)) + chunk(DONE) + b"0\r\n\r\n"
    backend.handler = says(STREAM_HEAD + chunk(delta("Hi", "stop")) + end + STREAM_HEAD + again + b"0\r\n\r\n")
    tenant = await control.tenant()
    reply = await chat(port, tenant, stream=True)
    assert reply.complete
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (found.status, found.quantities["input_tokens"], found.quantities["output_tokens"]) == (200, 9, 2)


ABSURD = {
    "negative": {"prompt_tokens": -5, "completion_tokens": -5},
    "huge": {"prompt_tokens": 10**30, "completion_tokens": 2**70},
    "text": {"prompt_tokens": "10", "completion_tokens": None},
    "fractions": {"prompt_tokens": 1.5, "completion_tokens": True},
    "details beyond the whole": {
        "prompt_tokens": 3, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 10**9},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ABSURD)
async def test_absurd_counts_are_not_billed_as_they_are(
    port: int, control: ControlPlane, backend: FakeBackend, name: str
) -> None:
    row = orjson.loads(completion("hello world"))
    body = orjson.dumps({**row, "usage": None}).replace(
        b'"usage":null', b'"usage":%b' % json.dumps(ABSURD[name]).encode()
    )
    backend.handler = says(whole(body))
    tenant = await control.tenant()
    assert (await chat(port, tenant)).status == 200
    (found,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert all(0 <= count < 100_000 for meter, count in found.quantities.items() if meter.endswith("tokens"))
