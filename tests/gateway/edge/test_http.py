"""What the gateway reads as HTTP, what it refuses, and in which order it answers."""

from __future__ import annotations

import asyncio
import sys

import orjson
import pytest

from omni.contracts.principal import Principal
from omni.kit.clock import unix_micros
from tests.gateway.conftest import StartGateway
from tests.gateway.support import (
    EMBEDDINGS,
    SECRET,
    Client,
    ControlPlane,
    FakeBackend,
    Received,
    RedisServer,
    Reply,
    answer,
    ask,
    embed,
    request,
)


async def raw(port: int, data: bytes) -> tuple[Reply, bool]:
    """The answer to these bytes, and whether the gateway closed after it."""
    client = await Client.connect(port)
    try:
        client.send(data)
        async with asyncio.timeout(5):
            reply = await client.reply()
            return reply, await client.at_end()
    finally:
        client.close()


_POST = b"POST /v1/forecasts HTTP/1.1\r\nhost: a\r\n"
_GET = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n"
_CHUNKED = _POST + b"transfer-encoding: chunked\r\n"
_NO_CHUNKS = b"\r\n0\r\n\r\n"
SMUGGLING = {
    "both lengths": _POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n" + _NO_CHUNKS,
    "both, other order": _CHUNKED + b"content-length: 5\r\n" + _NO_CHUNKS,
    "two lengths": _POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "same length twice": _POST + b"content-length: 1\r\ncontent-length: 1\r\n\r\na",
    "signed length": _POST + b"content-length: +1\r\n\r\na",
    "list of lengths": _POST + b"content-length: 1, 1\r\n\r\na",
    "folded header": _GET + b"x-a: b\r\n c\r\n\r\n",
    "space before colon": b"GET /v1/models HTTP/1.1\r\nhost : a\r\n\r\n",
    "bare line feed": b"GET /v1/models HTTP/1.1\nhost: a\n\n",
    "carriage return in value": b"GET /v1/models HTTP/1.1\r\nhost: a\rb\r\n\r\n",
    "bad chunk size": _CHUNKED + b"\r\nzz\r\nab",
    "chunk longer than said": _CHUNKED + b"\r\n1\r\nabc" + _NO_CHUNKS,
    "unknown coding": _POST + b"transfer-encoding: xchunked\r\n" + _NO_CHUNKS,
    "coding after chunked": _POST + b"transfer-encoding: chunked, gzip\r\n" + _NO_CHUNKS,
    "chunked twice": _CHUNKED + b"transfer-encoding: chunked\r\n" + _NO_CHUNKS,
    "chunked in 1.0": _CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + _NO_CHUNKS,
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": _GET + b"host: b\r\n\r\n",
    "two credentials": _GET + b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    "not a path": b"GET v1/models HTTP/1.1\r\nhost: a\r\n\r\n",
    "upgrade": _GET + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "upgrade with body": _POST + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 1\r\n\r\na",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01",
}


@pytest.mark.parametrize("name", SMUGGLING)
async def test_what_two_readers_could_understand_differently_is_refused(
    port: int, backend: FakeBackend, name: str
) -> None:
    smuggled = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
    reply, closed = await raw(port, SMUGGLING[name] + smuggled)
    assert reply.status == (405 if name == "not HTTP" else 400)
    assert reply.headers["connection"] == "close"
    assert "x-request-id" in reply.headers
    assert closed
    assert not backend.received


async def test_an_error_ends_a_pipeline_after_the_answers_before_it(port: int) -> None:
    client = await Client.connect(port)
    client.send(request("GET", "/livez") + b"GET /livez HTTP/1.1\r\nx y: z\r\n\r\n" + request("GET", "/livez"))
    assert (await client.reply()).status == 200
    assert (await client.reply()).status == 400
    assert await client.at_end()
    client.close()


async def test_pipelined_requests_are_answered_in_order(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()

    async def slow_first(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target.endswith("/first"):
            await asyncio.sleep(0.05)
        writer.write(answer(body=received.target.encode()))

    backend.handler = slow_first
    client = await Client.connect(port)
    paths = [f"/v1/models/{name}" for name in ("first", *map(str, range(30)))]
    client.send(b"".join(request("GET", path, tenant.bearer) for path in paths))
    for path in paths:
        assert (await client.reply()).body == path.encode()
    client.close()


async def test_unknown_route_and_wrong_method(port: int) -> None:
    reply = await ask(port, "GET", "/v1/nothing")
    problem = orjson.loads(reply.body)
    assert (reply.status, problem["code"]) == (404, "unknown_route")
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == reply.headers["x-request-id"]
    assert problem["doc_url"] == problem["type"] == "/docs/errors#unknown_route"
    reply = await ask(port, "DELETE", "/v1/collections")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")
    reply, _ = await raw(port, b"BREW /v1/models HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (reply.status, reply.headers["allow"]) == (405, "DELETE, GET, PATCH, POST, PUT")
    for method, path, status in (("POST", "/v1/nothing", 404), ("POST", "/v1/models", 405)):
        assert (await ask(port, method, path, body=b"x" * 9)).status == status
    for dots in ("..", "%2e%2E", "."):
        assert (await ask(port, "GET", f"/v1/collections/{dots}")).status == 404


async def test_a_body_over_the_limit_is_refused_before_it_is_read(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await Client.connect(port)
    client.send(request("POST", "/v1/collections", {**tenant.bearer, "content-length": "65537"}))
    reply = await client.reply()
    assert (reply.status, orjson.loads(reply.body)["code"]) == (413, "body_too_large")
    assert await client.at_end()
    client.close()


async def test_a_chunked_body_is_counted_and_passed(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()
    headers = {**tenant.bearer, "transfer-encoding": "chunked"}
    head = request("GET", "/v1/collections", headers).replace(b"GET", b"POST")
    client = await Client.connect(port)
    client.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (await client.reply()).status == 200
    assert backend.received[0].body == b"abcde"
    assert "transfer-encoding" not in backend.received[0].headers
    client.send(head + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 3)
    assert (await client.reply()).status == 413
    client.close()


@pytest.mark.parametrize("shape", ["many", "long", "endless", "target"])
async def test_headers_over_the_limit(port: int, shape: str) -> None:
    data = {
        "many": b"GET /livez HTTP/1.1\r\nhost: a\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(3000)) + b"\r\n",
        "long": b"GET /livez HTTP/1.1\r\nhost: a\r\nx-a: " + b"y" * 17_000 + b"\r\n\r\n",
        "endless": b"GET /livez HTTP/1.1\r\nhost: a\r\nx-a: " + b"y" * 100_000,
        "target": b"GET /" + b"y" * 17_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    }[shape]
    reply, closed = await raw(port, data)
    assert (reply.status, orjson.loads(reply.body)["code"]) == (431, "headers_too_large")
    assert closed


async def test_clients_that_left_at_once_change_no_later_refusal(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()

    async def silent(_: Received, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    backend.handler = silent
    clients = [await Client.connect(port) for _ in range(8)]
    for client in clients:
        client.send(request("POST", EMBEDDINGS, tenant.bearer))
    async with asyncio.timeout(5):
        while len(backend.received) < len(clients):
            await asyncio.sleep(0.01)
    for client in clients:
        client.abort()
    await control.wait_events(tenant.key.tenant_id, len(clients))
    assert sys.exc_info()[1] is None, "what one request ended with is nobody else's"
    reply, _ = await raw(port, b"GET /" + b"y" * 17_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (reply.status, orjson.loads(reply.body)["code"]) == (431, "headers_too_large")


async def test_expect_continue(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await Client.connect(port)
    headers = {**tenant.bearer, "expect": "100-continue", "content-length": "2"}
    client.send(request("POST", EMBEDDINGS, headers))
    assert (await client.head()).status == 100
    client.send(b"{}")
    assert (await client.reply()).status == 200
    client.send(request("POST", EMBEDDINGS, {**headers, "authorization": "Bearer junk"}))
    assert (await client.reply()).status == 401, "refused without asking for the body"
    client.close()


async def test_http_1_0(port: int) -> None:
    reply, closed = await raw(port, b"GET /livez HTTP/1.0\r\n\r\n")
    assert (reply.status, closed) == (200, True)
    client = await Client.connect(port)
    for _ in range(2):
        client.send(b"GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert (await client.reply()).headers["connection"] == "keep-alive"
    client.close()


async def test_slow_clients_are_told_and_left(
    shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway
) -> None:
    tenant = await control.tenant()
    gateway = await start_gateway(shared_redis.url, header_timeout_seconds=0.1, body_idle_timeout_seconds=0.1)
    for slow in (
        b"GET /livez HTTP/1.1\r\nhost:",
        request("POST", EMBEDDINGS, {**tenant.bearer, "content-length": "9"}),
    ):
        reply, closed = await raw(gateway.ports.public, slow)
        assert (reply.status, closed) == (408, True)


async def test_what_the_backend_is_told(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant(storage_bytes=77)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {
        **tenant.bearer,
        "content-type": "application/json",
        "traceparent": f"00-{trace_id}-b7ad6b7169203331-01",
        "idempotency-key": "once",
        "omni-principal": "forged",
        "omni-usage": "requests=0",
        "x-forwarded-for": "10.0.0.1",
        "x-api-key-hint": "private",
        "connection": "keep-alive",
    }
    reply = await ask(port, "POST", EMBEDDINGS + "?a=b", headers, b"{}")
    got = backend.received[0]
    principal = Principal.verify(got.headers.pop("omni-principal"), SECRET, unix_micros())
    assert str(principal.request_id) == reply.headers["x-request-id"] == got.headers.pop("x-request-id")
    assert (principal.tenant_id, principal.project_id) == (tenant.key.tenant_id, tenant.key.project_id)
    assert (principal.mode, principal.storage_bytes_limit) == ("live", 77)
    assert int(got.headers.pop("omni-deadline-micros")) == principal.deadline_micros
    traceparent = got.headers.pop("traceparent")
    assert traceparent.startswith(f"00-{trace_id}-")
    assert "b7ad6b7169203331" not in traceparent
    assert (got.target, got.body) == (EMBEDDINGS + "?a=b", b"{}")
    got.headers.pop("host")
    assert got.headers == {"content-type": "application/json", "idempotency-key": "once", "content-length": "2"}
    assert "omni-usage" not in reply.headers
    assert "omni-model" not in reply.headers


async def test_public_pages(port: int, backend: FakeBackend) -> None:
    assert (await ask(port, "GET", "/livez")).body == b'{"status":"live"}'
    reply = await ask(port, "GET", "/readyz")
    checks = orjson.loads(reply.body)["checks"]
    assert (reply.status, checks) == (200, {"redis": True, "snapshots": True, "serving": True})

    async def broken(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(500))

    backend.handler = broken
    reply = await ask(port, "GET", "/openapi.json")
    assert (reply.status, orjson.loads(reply.body)["code"]) == (503, "openapi_unavailable")
    backend.reset()

    async def described(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b'{"openapi":"3.1.0","paths":{"/v1/rows":{"get":{}}}}'))

    backend.handler = described
    for _ in range(2):
        reply = await ask(port, "GET", "/openapi.json")
        paths = orjson.loads(reply.body)["paths"]
        assert reply.status == 200
        assert paths["/v1/rows"] == {"get": {}}
        assert paths["/v1/chat/completions"]["post"]["operationId"] == "chat"
    assert len(backend.received) == 1


async def test_metrics_port(shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(shared_redis.url)
    assert (await embed(gateway.ports.public, await control.tenant())).status == 200
    reply = await ask(gateway.ports.metrics, "GET", "/metrics")
    text = reply.body.decode()
    labels = 'http_request_method="POST",http_response_status_code="200",http_route="/v1/embeddings"'
    assert f"http_server_request_duration_seconds_count{{{labels}}} 1.0" in text
    assert 'omni_admit_decisions_total{decision="admitted"} 1.0' in text
    for name in ("omni_gateway_spool_events", "omni_gateway_open_requests", "omni_redis_round_trips_total"):
        assert f"\n{name} " in text
    assert (await ask(gateway.ports.metrics, "GET", "/readyz")).status == 200


async def test_static_pages_are_served_without_a_key(shared_redis: RedisServer, start_gateway: StartGateway) -> None:
    html = b"<!doctype html><style>p { margin: 0; }</style><p>hello"
    gateway = await start_gateway(shared_redis.url, pages={"/docs/errors": html})
    at = gateway.ports.public
    reply = await ask(at, "GET", "/docs/errors?x=1")
    assert (reply.status, reply.body) == (200, html)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert (await ask(at, "POST", "/docs/errors")).status == 405
    assert (await ask(at, "GET", "/docs/other")).status == 404
