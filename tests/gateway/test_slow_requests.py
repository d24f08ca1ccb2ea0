"""Requests that failed or were slow at the gateway are kept, chosen when they are over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.apps.compiled import is_compiled
from omni.foundation.slow_traces import find_trace, slow_traces
from omni.gateway.access.auth import Authenticator
from omni.gateway.edge.trace import Trace
from omni.telemetry.request_spans import OtlpRequestSpans
from omni.telemetry.slow_traces import Trace as KeptTrace
from omni.telemetry.spans import RequestSpan
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import (
    DONE,
    chat,
    completion,
    delta,
    model,
    provider,
    publish,
    streams,
    target,
    usage_event,
    whole,
)
from tests.gateway.support import (
    ControlPlane,
    FakeBackend,
    Received,
    RecordingLogger,
    RedisServer,
    answer,
    ask,
    embed,
    eventually,
)

TRACE_ID, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def broken(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(500))


async def kept(control: ControlPlane, count: int) -> list[KeptTrace]:
    """The traces, once there are so many."""

    async def enough() -> bool:
        return len(await slow_traces(control.redis)) >= count

    await eventually(enough)
    return await slow_traces(control.redis)


async def forget(control: ControlPlane) -> None:
    for key in await control.redis.keys("omni:{traces}:*"):
        await control.redis.delete(key)


async def test_a_failed_request_is_kept_under_the_id_that_was_handed_on(
    backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway,
    logger: RecordingLogger,
) -> None:  # fmt: skip
    await forget(control)
    gateway, tenant = await start_gateway(shared_redis.url), await control.tenant()
    port = gateway.ports.public
    assert (await embed(port, tenant)).status == 200
    backend.handler = broken
    headers = {**tenant.bearer, "traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-00"}
    assert (await ask(port, "POST", "/v1/embeddings", headers, b"{}")).status == 500
    [trace] = await kept(control, 1)
    [span] = trace.spans
    assert (trace.trace_id, trace.status, trace.name) == (TRACE_ID, "error", "POST /v1/embeddings")
    assert (span.process, span.parent_id) == ("gateway", CLIENT_SPAN)
    assert backend.received[-1].headers["traceparent"] == f"00-{TRACE_ID}-{span.span_id}-00"
    assert span.attributes == {
        "http.request.method": "POST", "http.route": "/v1/embeddings", "url.scheme": "http",
        "http.response.status_code": 500,
    }  # fmt: skip
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    scrape = (await ask(gateway.ports.metrics, "GET", "/metrics", accept)).body.decode()
    assert f'# {{trace_id="{TRACE_ID}"}}' in scrape
    assert 'omni_slow_traces_total{outcome="kept"} 1.0' in scrape
    [line] = [values for event, values in logger.lines if event == "request"]
    assert line["trace_id"] == TRACE_ID


async def test_a_slow_request_is_kept_and_a_long_stream_is_not(
    backend: FakeBackend, backend_server: tuple[FakeBackend, str], shared_redis: RedisServer, control: ControlPlane,
    start_gateway: StartGateway,
) -> None:  # fmt: skip
    await forget(control)
    gateway, tenant = await start_gateway(shared_redis.url, slow_request_seconds=0.2), await control.tenant()
    await publish(control, gateway, [provider(backend_server[1])], [model("gpt", target())])
    go_on = asyncio.Event()
    backend.handler = streams(delta("Hel"), delta("lo", "stop"), usage_event(3, 4), DONE, wait=go_on)
    asyncio.get_running_loop().call_later(0.3, go_on.set)
    assert (await chat(gateway.ports.public, tenant, stream=True)).complete

    async def late(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(answer())

    backend.handler = late
    assert (await embed(gateway.ports.public, tenant)).status == 200
    [trace] = await kept(control, 1)
    assert (trace.name, trace.status) == ("POST /v1/embeddings", "ok")
    assert trace.duration_ms >= 290


@pytest.mark.parametrize("exported", [True, False])
async def test_calls_to_providers_are_kept_with_their_request(
    backend: FakeBackend, backend_server: tuple[FakeBackend, str], shared_redis: RedisServer, control: ControlPlane,
    start_gateway: StartGateway, exported: bool,
) -> None:  # fmt: skip
    await forget(control)
    spans = OtlpRequestSpans("gateway", "1", "http://127.0.0.1:1") if exported else None
    gateway = await start_gateway(shared_redis.url, spans=spans, slow_request_seconds=0.0)
    tenant = await control.tenant()

    async def second_works(received: Received, writer: asyncio.StreamWriter) -> None:
        bad = b'"model":"bad"' in received.body
        writer.write(whole(b'{"error":{"message":"canary"}}', 503) if bad else whole(completion("canary")))

    backend.handler = second_works
    routes = [model("gpt", target("bad"), target("good", "mistral", priority=1))]
    await publish(control, gateway, [provider(backend_server[1]), provider(backend_server[1], "mistral")], routes)
    message = {"role": "user", "content": "canary"}
    assert (await chat(gateway.ports.public, tenant, messages=[message])).status == 200
    [trace] = await kept(control, 1)
    root, *calls = trace.spans
    assert [(call.name, call.status, call.depth, call.attributes.get("error.type")) for call in calls] == [
        ("chat bad", "error", 1, "503"), ("chat good", "ok", 1, None),
    ]  # fmt: skip
    assert calls[1].attributes["gen_ai.provider.name"] == "mistral_ai"
    assert 0 <= calls[0].offset_ms <= calls[1].offset_ms <= root.duration_ms
    assert calls[0].offset_ms + calls[0].duration_ms <= calls[1].offset_ms + 1
    assert "canary" not in repr(trace)
    told = [received.headers.get("traceparent", "--").split("-")[2] for received in backend.received]
    assert told == ([call.span_id for call in calls] if exported else ["", ""])
    if spans is not None:
        await asyncio.to_thread(spans.close)


async def test_a_quick_request_pays_nothing(
    backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert not backend.received
    await forget(control)
    made: list[RequestSpan] = []
    server_span = Trace.server_span

    def noted(*arguments: Any) -> RequestSpan:
        made.append(server_span(*arguments))
        return made[-1]

    monkeypatch.setattr(Trace, "server_span", noted)
    gateway, tenant = await start_gateway(shared_redis.url), await control.tenant()
    assert (await embed(gateway.ports.public, tenant)).status == 200
    assert made == []
    backend.handler = broken
    assert (await embed(gateway.ports.public, tenant)).status == 500
    assert [span.status for span in made] == [500]
    await kept(control, 1)


async def test_without_redis_a_part_is_dropped_and_counted(
    backend: FakeBackend, own_redis: RedisServer, own_control: ControlPlane, start_gateway: StartGateway
) -> None:
    gateway, tenant = await start_gateway(own_redis.url), await own_control.tenant()
    assert (await embed(gateway.ports.public, tenant)).status == 200
    own_redis.stop()
    backend.handler = broken
    status = (await embed(gateway.ports.public, tenant)).status
    assert status >= 500
    dropped = 'omni_slow_traces_total{outcome="dropped"} 1.0'

    async def counted() -> bool:
        return dropped in (await ask(gateway.ports.metrics, "GET", "/metrics")).body.decode()

    await eventually(counted)


@pytest.mark.skipif(is_compiled(), reason="what is compiled cannot be patched")
async def test_a_request_that_breaks_the_gateway_is_logged_under_its_trace_and_kept(
    shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway, logger: RecordingLogger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await forget(control)
    error = RuntimeError("canary: what the client sent")

    def breaks(*_: object) -> None:
        raise error

    monkeypatch.setattr(Authenticator, "cached", breaks)
    gateway, tenant = await start_gateway(shared_redis.url), await control.tenant()
    headers = {**tenant.bearer, "traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-01"}
    assert (await ask(gateway.ports.public, "GET", "/v1/models", headers)).status == 500
    [trace] = await kept(control, 1)
    lines = [values for event, values in logger.lines if event in ("request_failed", "request")]
    assert [line["trace_id"] for line in lines] == [trace.trace_id, trace.trace_id] == [TRACE_ID, TRACE_ID]
    assert lines[0]["exc_info"] is lines[0]["error"] is error, "the log decides what is told of it"
    assert "canary" not in repr(trace)


async def test_switched_off_nothing_is_kept(
    backend: FakeBackend, shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway
) -> None:
    await forget(control)
    gateway, tenant = await start_gateway(shared_redis.url, keep_slow_requests=False), await control.tenant()
    backend.handler = broken
    headers = {**tenant.bearer, "traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-01"}
    assert (await ask(gateway.ports.public, "POST", "/v1/embeddings", headers, b"{}")).status == 500
    await gateway.drain(0.2)
    assert await find_trace(control.redis, TRACE_ID) is None
