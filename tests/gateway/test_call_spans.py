"""Spans of calls to providers: one for each, with the tokens that are billed and nothing of what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families

from omni.contracts.routes import Provider
from omni.contracts.usage import UsageEvent
from omni.gateway.edge.trace import Trace
from omni.gateway.routing import calls
from omni.telemetry import gen_ai
from omni.telemetry.spans import CallSpan
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import (
    CHAT,
    DONE,
    KEY,
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
    eventually,
    request,
)
from tests.gateway.traces import Collector, Traced, attributes, traced

CANARY = "canary-7d1e prompt that nobody may keep"
TRACE_ID, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LABELS = {
    "http_request_method", "http_route", "http_response_status_code", "le", "decision", "outcome", "priority", "policy",
    "provider", "meter", "gen_ai_operation_name", "gen_ai_provider_name", "error_type",
}  # fmt: skip


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
async def at(
    collector: Collector, backend: FakeBackend, backend_server: tuple[FakeBackend, str], shared_redis: RedisServer,
    control: ControlPlane, start_gateway: StartGateway,
) -> Traced:  # fmt: skip
    """A gateway that exports, in front of one provider with one model of it."""
    made = await traced(collector.url, shared_redis, control, start_gateway, slow_request_seconds=0.0)
    await publish(control, made.gateway, [provider(backend_server[1])], [model("gpt", target())])
    return made


async def settled(control: ControlPlane, at: Traced) -> UsageEvent:
    """The one event of the tenant."""
    [event] = await control.wait_events(at.tenant.key.tenant_id, 1)
    return event


def of_kind(spans: list[Span], kind: int) -> list[Span]:
    return [span for span in spans if span.kind == kind]


def pair(collector: Collector) -> tuple[Span, Span]:
    """The SERVER span of the only request, and the CLIENT span of the only call, which is below it."""
    spans = collector.spans("omni-gateway")
    [server], [call] = of_kind(spans, Span.SPAN_KIND_SERVER), of_kind(spans, Span.SPAN_KIND_CLIENT)
    assert (call.trace_id, call.parent_span_id) == (server.trace_id, server.span_id)
    assert server.start_time_unix_nano <= call.start_time_unix_nano + 10_000_000
    assert call.start_time_unix_nano <= call.end_time_unix_nano <= server.end_time_unix_nano + 10_000_000
    return server, call


def tokens(span: Span) -> tuple[Any, Any]:
    found = attributes(span)
    return found.get("gen_ai.usage.input_tokens"), found.get("gen_ai.usage.output_tokens")


def billed(event: UsageEvent) -> tuple[int, int]:
    read = sum(count for meter, count in event.quantities.items() if meter in gen_ai.INPUT_METERS)
    return read, sum(count for meter, count in event.quantities.items() if meter in gen_ai.OUTPUT_METERS)


async def test_a_whole_answer_has_one_call_with_the_billed_tokens(
    at: Traced, collector: Collector, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    control: ControlPlane,
) -> None:  # fmt: skip
    details: dict[str, Any] = {
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3},
    }  # fmt: skip
    backend.handler = says(whole(completion(read=10, written=5, **details)))
    headers = {"traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-01"}
    assert (await chat(at.port, at.tenant, headers=headers)).status == 200
    event = await settled(control, at)
    await at.finish()
    server, call = pair(collector)
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE_ID, CLIENT_SPAN)
    assert call.name == "chat gpt"
    assert attributes(call) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.model": "gpt",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": event.quantities["cached_input_tokens"],
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": event.quantities["reasoning_tokens"],
        "server.address": "127.0.0.1",
        "server.port": int(backend_server[1].rpartition(":")[2]),
    }
    assert tokens(call) == billed(event)
    assert event.quantities["input_tokens"] == 10 - 4
    assert event.quantities["output_tokens"] == 5 - 3
    assert call.status.code == Status.STATUS_CODE_UNSET
    assert backend.received[0].headers["traceparent"] == f"00-{TRACE_ID}-{call.span_id.hex()}-01"
    scopes = [scope for group in collector.received for scope in group.scope_spans if call in scope.spans]
    assert [scope.schema_url for scope in scopes] == [gen_ai.SCHEMA_URL]


async def test_a_stream_has_one_call_with_the_billed_tokens(
    at: Traced, collector: Collector, backend: FakeBackend, control: ControlPlane
) -> None:
    backend.handler = streams(delta("Hel"), delta("lo", "stop"), usage_event(30, 7), DONE)
    assert (await chat(at.port, at.tenant, stream=True)).complete
    event = await settled(control, at)
    await at.finish()
    _, call = pair(collector)
    found = attributes(call)
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.model"] == "gpt"
    assert tokens(call) == billed(event) == (30, 7)
    assert "error.type" not in found


async def test_a_stream_that_breaks_off_says_so(
    at: Traced, collector: Collector, backend: FakeBackend, control: ControlPlane
) -> None:
    async def breaks(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(delta("Some of the text")))
        await writer.drain()
        writer.close()

    backend.handler = breaks
    await chat(at.port, at.tenant, stream=True)
    event = await settled(control, at)
    await at.finish()
    _, call = pair(collector)
    assert event.status == 502
    assert tokens(call) == billed(event)
    assert attributes(call)["error.type"] == "provider_failed"
    assert call.status.code == Status.STATUS_CODE_ERROR


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_ends_the_call(
    at: Traced, collector: Collector, backend: FakeBackend, control: ControlPlane, stream: bool
) -> None:
    never = asyncio.Event()

    async def silent(_: Received, writer: asyncio.StreamWriter) -> None:
        await never.wait()

    backend.handler = streams(delta("Hello there, you"), wait=never) if stream else silent
    client = await Client.connect(at.port)
    body = orjson.dumps({"model": "gpt", "stream": stream, "messages": [{"role": "user", "content": "Hi there"}]})
    client.send(request("POST", CHAT, {**at.tenant.bearer, "content-type": "application/json"}, body))

    async def asked() -> bool:
        return bool(backend.received)

    await eventually(asked)
    if stream:
        await client.head()
        await client.chunk()
    client.abort()
    event = await settled(control, at)
    never.set()
    await at.finish()
    server, call = pair(collector)
    assert attributes(server)["http.response.status_code"] == event.status == 499
    assert attributes(call)["error.type"] == "client_left"
    assert call.status.code == Status.STATUS_CODE_UNSET
    assert billed(event)[0] > 0
    assert [count or 0 for count in tokens(call)] == list(billed(event))


async def test_each_call_of_a_failover_has_its_span(
    at: Traced, collector: Collector, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    control: ControlPlane,
) -> None:  # fmt: skip
    async def second_works(received: Received, writer: asyncio.StreamWriter) -> None:
        bad = b'"model":"bad"' in received.body
        writer.write(whole(b"{}", 503) if bad else whole(completion()))

    backend.handler = second_works
    routes = [model("gpt", target("bad"), target("good", "mistral", priority=1))]
    providers = [provider(backend_server[1]), provider(backend_server[1], "mistral")]
    await publish(control, at.gateway, providers, routes)
    assert (await chat(at.port, at.tenant)).status == 200
    event = await settled(control, at)
    await at.finish()
    first, second = sorted(
        of_kind(collector.spans("omni-gateway"), Span.SPAN_KIND_CLIENT), key=lambda span: span.start_time_unix_nano
    )
    assert [span.name for span in (first, second)] == ["chat bad", "chat good"]
    assert first.parent_span_id == second.parent_span_id
    assert attributes(first)["error.type"] == "503"
    assert first.status.code == Status.STATUS_CODE_ERROR
    assert tokens(first) == (None, None)
    assert attributes(second)["gen_ai.provider.name"] == "mistral_ai"
    assert tokens(second) == billed(event)
    assert [each.headers["traceparent"].split("-")[2] for each in backend.received] == [
        first.span_id.hex(),
        second.span_id.hex(),
    ]


@pytest.mark.parametrize(("status", "error_type"), [(429, "429"), (401, "401"), (400, "400")])
async def test_what_a_provider_refuses_is_the_calls_error(
    at: Traced, collector: Collector, backend: FakeBackend, status: int, error_type: str
) -> None:
    backend.handler = says(whole(b'{"error":{"message":"no"}}', status))
    assert (await chat(at.port, at.tenant)).status >= 400
    await at.finish()
    found = of_kind(collector.spans("omni-gateway"), Span.SPAN_KIND_CLIENT)
    assert found
    assert {attributes(span)["error.type"] for span in found} == {error_type}


async def test_the_slower_of_two_calls_is_cancelled(
    at: Traced, collector: Collector, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    control: ControlPlane,
) -> None:  # fmt: skip
    never = asyncio.Event()

    async def first_hangs(received: Received, writer: asyncio.StreamWriter) -> None:
        if b'"model":"slow"' in received.body:
            await never.wait()
        writer.write(whole(completion()))

    backend.handler = first_hangs
    routes = [model("gpt", target("slow"), target("fast", priority=1), hedge_after_ms=10)]
    await publish(control, at.gateway, [provider(backend_server[1])], routes)
    assert (await chat(at.port, at.tenant)).status == 200
    never.set()
    await at.finish()
    ends = {
        span.name: attributes(span).get("error.type")
        for span in of_kind(collector.spans("omni-gateway"), Span.SPAN_KIND_CLIENT)
    }
    assert ends == {"chat slow": "cancelled", "chat fast": None}


async def test_a_trace_that_is_not_sampled_makes_no_spans_of_calls(
    at: Traced, collector: Collector, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(calls.CallTracing, "__init__", lambda *_: made.append("tracing"))
    monkeypatch.setattr(Trace, "header_below", lambda trace, span: b"00-%b-%b-%b" % (trace.trace_id, span, trace.flags))
    backend.handler = says(whole(completion()))
    headers = {"traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-00"}
    assert (await chat(at.port, at.tenant, headers=headers)).status == 200
    await at.finish()
    assert not made
    assert of_kind(collector.spans("omni-gateway"), Span.SPAN_KIND_CLIENT) == []
    assert backend.received[0].headers["traceparent"].endswith("-00")


async def test_no_prompt_answer_or_key_is_in_spans_logs_or_metrics(
    at: Traced, collector: Collector, backend: FakeBackend, logger: RecordingLogger
) -> None:
    message: dict[str, Any] = {"role": "user", "content": CANARY}
    backend.handler = says(whole(completion(CANARY)))
    assert (await chat(at.port, at.tenant, messages=[message])).status == 200
    backend.handler = streams(delta(CANARY), delta("", "stop"), usage_event(3, 4), DONE)
    assert (await chat(at.port, at.tenant, messages=[message], stream=True)).complete
    backend.handler = says(whole(orjson.dumps({"error": {"message": CANARY}}), 500))
    assert (await chat(at.port, at.tenant, messages=[message])).status >= 500
    backend.handler = says(whole(orjson.dumps({"model": CANARY, "choices": []})))
    await chat(at.port, at.tenant, messages=[message])
    assert (await chat(at.port, at.tenant, name=CANARY, messages=[message])).status == 404
    metrics = await at.scrape()
    await at.finish()
    said = b"".join(group.SerializeToString() for group in collector.received)
    said += f"{metrics}{logger.lines!r}".encode()
    tenant_id = at.tenant.key.tenant_id
    assert b"chat gpt" in said
    for secret in (CANARY, at.tenant.secret, KEY, str(tenant_id), tenant_id.hex):
        assert secret.encode() not in said


async def test_calls_and_tokens_are_counted_once_in_the_gateways_metrics(
    at: Traced, backend: FakeBackend, control: ControlPlane
) -> None:
    await budget(control, at.tenant, credit_nanos=10**9)
    backend.handler = streams(*[delta("twenty bytes of text")] * 4, delta("", "stop"), usage_event(30, 7), DONE)
    assert (await chat(at.port, at.tenant, stream=True)).complete
    backend.handler = says(whole(completion(read=10, written=5)))
    assert (await chat(at.port, at.tenant)).status == 200
    backend.handler = says(whole(b"{}", 500))
    assert (await chat(at.port, at.tenant)).status == 502
    families = list(text_string_to_metric_families(await at.scrape()))
    assert all(family.documentation.strip().endswith(".") for family in families), families
    samples = [sample for family in families for sample in family.samples]
    assert {label for sample in samples for label in sample.labels} <= LABELS
    names = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai"}

    def value(name: str, **labels: str) -> float:
        return sum(
            sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    assert value(f"{gen_ai.INPUT_TOKENS}_total", **names) == value("omni_tokens_total", meter="input_tokens") == 40
    assert value(f"{gen_ai.OUTPUT_TOKENS}_total", **names) == value("omni_tokens_total", meter="output_tokens") == 12
    assert value(f"{gen_ai.CALL_DURATION}_count", **names, error_type="") == 2
    assert value(f"{gen_ai.CALL_DURATION}_count", **names, error_type="500") >= 1


def test_totals_hold_what_the_meters_keep_apart() -> None:
    quantities = {
        "requests": 1, "input_tokens": 1, "cached_input_tokens": 2, "cache_write_tokens": 4, "input_audio_tokens": 8,
        "output_tokens": 16, "reasoning_tokens": 32, "spend_nanos": 9,
    }  # fmt: skip
    assert gen_ai.usage_attributes(quantities) == {
        "gen_ai.usage.input_tokens": 15,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.cache_write.input_tokens": 4,
        "gen_ai.usage.audio.input_tokens": 8,
        "gen_ai.usage.output_tokens": 48,
        "gen_ai.usage.reasoning.output_tokens": 32,
    }


class Kept:
    """Takes spans and keeps them."""

    def __init__(self) -> None:
        self.calls: list[CallSpan] = []

    def sampled_id(self) -> int:
        return 1

    def has_room(self) -> bool:
        return True

    def export(self, span: object) -> None:
        raise AssertionError(span)

    def export_call(self, span: CallSpan) -> None:
        self.calls.append(span)


@pytest.mark.parametrize(
    ("base_url", "server"),
    [
        ("https://api.example.com/v1", ("api.example.com", 443)),
        ("http://[::1]:8000", ("::1", 8000)),
        ("http://inner.example", ("inner.example", 80)),
        ("", None),
    ],
)
@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (b'{"model":"gpt-2026"}', "gpt-2026"),
        (b'{"modelVersion":"gemini-9"}', "gemini-9"),
        (b'{"type":"message_start","message":{"model":"claude-9"}}', "claude-9"),
        (b'{"model":"two words"}', ""),
        (b'{"model":7}', ""),
        (b'["model"]', ""),
        (b"model", ""),
    ],
)
def test_what_is_known_of_a_call(base_url: str, server: tuple[str, int] | None, answer: bytes, named: str) -> None:
    kept = Kept()
    tracing = calls.CallTracing(kept, Trace(None), b"id")
    call = tracing.begin("chat", Provider("mine", "openai", base_url), target(), stream=False)
    call.answered(answer)
    call.end("", {})
    [span] = kept.calls
    assert (span.provider, span.server, span.response_model) == ("mine", server, named)
