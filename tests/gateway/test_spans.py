"""The gateway's spans: the ids that it hands on and logs are those that reach the collector."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from omni.apps.embedded.launch import free_port
from omni.gateway.edge.trace import Trace
from omni.telemetry.request_spans import OtlpRequestSpans
from omni.telemetry.spans import RequestSpan
from omni.telemetry.traces import Tracing
from tests.gateway.conftest import StartGateway
from tests.gateway.support import (
    Client,
    ControlPlane,
    FakeBackend,
    Received,
    RecordingLogger,
    RedisServer,
    answer,
    ask,
    embed,
    request,
)
from tests.gateway.traces import Collector, attributes, traced

TRACE_ID, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


async def test_one_server_span_between_the_client_and_the_backend(
    collector: Collector, backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane,
    start_gateway: StartGateway, logger: RecordingLogger,
) -> None:  # fmt: skip
    tracing = Tracing("backend", "1", collector.url)

    async def respond(received: Received, writer: asyncio.StreamWriter) -> None:
        with tracing.server_span("POST", received.headers["traceparent"]) as span:
            span.finish_http("POST", "/v1/embeddings", 200)
        writer.write(answer())

    backend.handler = respond
    at = await traced(collector.url, shared_redis, control, start_gateway, slow_request_seconds=0.0)
    before = time.time_ns()
    headers = {**at.tenant.bearer, "traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-01"}
    assert (await ask(at.port, "POST", "/v1/embeddings", headers, b"{}")).status == 200
    await at.finish()
    await asyncio.to_thread(tracing.close)

    [span] = collector.spans("omni-gateway")
    assert (span.name, span.kind) == ("POST /v1/embeddings", Span.SPAN_KIND_SERVER)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE_ID, CLIENT_SPAN)
    assert backend.received[0].headers["traceparent"] == f"00-{TRACE_ID}-{span.span_id.hex()}-01"
    assert attributes(span) == {
        "http.request.method": "POST",
        "http.route": "/v1/embeddings",
        "url.scheme": "http",
        "http.response.status_code": 200,
    }
    assert span.status.code == Status.STATUS_CODE_UNSET
    [line] = [values for event, values in logger.lines if event == "request"]
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, span.span_id.hex())
    [child] = collector.spans("omni-backend")
    assert (child.trace_id, child.parent_span_id) == (span.trace_id, span.span_id)
    assert before - 10_000_000 < span.start_time_unix_nano <= span.end_time_unix_nano < time.time_ns()
    assert span.start_time_unix_nano <= child.start_time_unix_nano + 10_000_000


async def test_every_answer_has_its_span(
    collector: Collector, backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane,
    start_gateway: StartGateway,
) -> None:  # fmt: skip
    async def broken(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(500))

    backend.handler = broken
    at = await traced(collector.url, shared_redis, control, start_gateway)
    assert (await embed(at.port, at.tenant)).status == 500
    assert (await ask(at.port, "GET", "/v1/collections/abc")).status == 401
    assert (await ask(at.port, "GET", "/v1/nothing")).status == 404
    client = await Client.connect(at.port)
    client.send(b"BREW / HTTP/1.1\r\n\r\n")
    assert (await client.reply()).status == 405
    client.close()
    await at.finish()
    spans = {span.name: span for span in collector.spans("omni-gateway")}
    assert {name: attributes(span)["http.response.status_code"] for name, span in spans.items()} == {
        "POST /v1/embeddings": 500, "GET /v1/collections/{collection_id}": 401, "GET": 404, "HTTP": 405,
    }  # fmt: skip
    failed = {name for name, span in spans.items() if span.status.code == Status.STATUS_CODE_ERROR}
    assert failed == {"POST /v1/embeddings"}
    assert "http.route" not in attributes(spans["GET"])
    assert not any(span.parent_span_id for span in spans.values())
    assert len({span.trace_id for span in spans.values()}) == 4


@pytest.mark.parametrize(
    ("ratio", "sent", "flags", "exported"),
    [(0.0, None, "00", 0), (1.0, None, "01", 1), (0.0, "01", "01", 1), (1.0, "00", "00", 0), (1.0, "02", "02", 0)],
)
async def test_the_flag_handed_on_says_what_is_exported(
    collector: Collector, backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane,
    start_gateway: StartGateway, ratio: float, sent: str | None, flags: str, exported: int,
) -> None:  # fmt: skip
    at = await traced(collector.url, shared_redis, control, start_gateway, ratio)
    headers = dict(at.tenant.bearer)
    if sent is not None:
        headers["traceparent"] = f"00-{TRACE_ID}-{CLIENT_SPAN}-{sent}"
    assert (await ask(at.port, "GET", "/v1/models", headers)).status == 200
    await at.finish()
    assert backend.received[0].headers["traceparent"].rpartition("-")[2] == flags
    assert len(collector.spans("omni-gateway")) == exported


async def test_what_failed_or_was_slow_is_exported_though_it_was_not_sampled(
    collector: Collector, backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane,
    start_gateway: StartGateway,
) -> None:  # fmt: skip
    async def broken(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(500))

    at = await traced(collector.url, shared_redis, control, start_gateway, ratio=0.0)
    assert (await embed(at.port, at.tenant)).status == 200
    backend.handler = broken
    assert (await embed(at.port, at.tenant)).status == 500
    await at.finish()
    slow = await traced(collector.url, shared_redis, control, start_gateway, ratio=0.0, slow_request_seconds=0.0)
    assert (await ask(slow.port, "GET", "/v1/models", slow.tenant.bearer)).status == 500
    await slow.finish()
    assert [span.name for span in collector.spans("omni-gateway")] == ["POST /v1/embeddings", "GET /v1/models"]


async def test_the_histogram_names_the_trace(
    collector: Collector, backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane,
    start_gateway: StartGateway,
) -> None:  # fmt: skip
    at = await traced(collector.url, shared_redis, control, start_gateway)
    headers = {**at.tenant.bearer, "traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-01"}
    assert (await ask(at.port, "POST", "/v1/embeddings", headers, b"{}")).status == 200
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    scrape = (await ask(at.gateway.ports.metrics, "GET", "/metrics", accept)).body.decode()
    named = [line for line in scrape.splitlines() if f'# {{trace_id="{TRACE_ID}"}}' in line]
    assert [line.partition("{")[0] for line in named] == ["http_server_request_duration_seconds_bucket"]
    assert f'trace_id="{TRACE_ID}"' not in await at.scrape()
    await at.finish()


async def test_without_an_endpoint_nothing_is_made_or_sent(
    backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made: list[str] = []
    monkeypatch.setattr(Trace, "server_span", lambda *_: made.append("span"))
    threads = set(threading.enumerate())
    gateway = await start_gateway(shared_redis.url)
    assert (await embed(gateway.ports.public, await control.tenant())).status == 200
    assert not made
    assert not [thread for thread in set(threading.enumerate()) - threads if "Otel" in thread.name]
    assert backend.received[0].headers["traceparent"].endswith("-01")


async def test_a_dead_collector_neither_fails_nor_slows_requests(
    shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway, backend: FakeBackend
) -> None:
    assert not backend.received
    at = await traced(f"http://127.0.0.1:{free_port()}", shared_redis, control, start_gateway)
    client = await Client.connect(at.port)
    await embed(at.port, at.tenant)
    slowest = 0.0
    for _ in range(600):  # more than a batch, so that the exporter is at work and failing meanwhile
        started = time.perf_counter()
        client.send(request("POST", "/v1/embeddings", at.tenant.bearer, b"{}"))
        assert (await client.reply()).status == 200
        slowest = max(slowest, time.perf_counter() - started)
    client.close()
    assert slowest < 1.0
    started = time.perf_counter()
    await at.finish()
    assert time.perf_counter() - started < 5.0


async def test_a_collector_that_never_answers_does_not_hold_up_the_end() -> None:
    held: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    spans = OtlpRequestSpans("gateway", "1", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    spans.export(RequestSpan(1, 2, None, "GET", None, 200, 3, 4))
    started = time.perf_counter()
    await asyncio.to_thread(spans.close)
    assert time.perf_counter() - started < 4.0
    assert held, "the collector was asked"
    server.close()
    for writer in held:
        writer.close()
        await writer.wait_closed()
