"""What metrics and traces are told of calls to providers. A call whose trace is not sampled has no span at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from omni.contracts.routes import Operation, Provider, Target
from omni.contracts.usage import BATCH_REQUESTS
from omni.contracts.wire import BadAnswer
from omni.gateway.admission.charges import as_counted
from omni.gateway.admission.events import Outcome
from omni.gateway.edge.trace import Trace, new_span_id
from omni.gateway.routing.ways import AnswerStream, Served
from omni.gateway.upstream.answers import ClientGone
from omni.kit.clock import unix_micros
from omni.kit.errors import DeadlineExceeded, OmniError
from omni.telemetry.gen_ai import provider_name
from omni.telemetry.spans import CallSpan, RequestSpan, RequestSpans

CLIENT_LEFT = "client_left"
_BLAMELESS = frozenset(
    (
        CLIENT_LEFT, "cancelled", "server_shutdown", "budget_exceeded", "limits_unavailable", "moderation_blocked",
        "moderation_unavailable",
    )
)  # fmt: skip
"""Why we end calls that a provider could have gone on with."""
_LOOKED_AT_BYTES = 16_384
_PARSED_BYTES = 1_048_576
_MODEL = re.compile(r"[\w.:/@-]{1,200}", re.ASCII)


class CallTracing:
    """The calls of one request whose trace is sampled."""

    __slots__ = ("_left", "_request_id", "_spans", "_trace")

    def __init__(self, spans: RequestSpans, trace: Trace, request_id: bytes) -> None:
        self._spans = spans
        self._trace = trace
        self._request_id = request_id
        self._left: list[TracedCall] = []

    def begin(self, operation: Operation, provider: Provider, target: Target, *, stream: bool) -> TracedCall:
        trace, span_id = self._trace, new_span_id()
        span = CallSpan(
            int(trace.trace_id, 16),
            int(span_id, 16),
            int(trace.span_id, 16),
            operation,
            provider_name(provider.kind, provider.code),
            target.upstream_model,
            stream,
            _server(provider.base_url),
            unix_micros() * 1_000,
        )
        head = b"traceparent: %b\r\nx-request-id: %b\r\n" % (trace.header_below(span_id), self._request_id)
        return TracedCall(self._spans, span, head)

    def left(self, call: TracedCall) -> None:
        """The client left while this call was made; it ends with the request, which says what is billed."""
        self._left.append(call)

    def settled_gone(self, outcome: Outcome) -> None:
        """The request of a client that left is billed like this."""
        quantities = outcome.quantities
        for call in self._left:
            call.end(CLIENT_LEFT, quantities)
            quantities = {}


class TracedCall:
    """One call to a provider and its span."""

    __slots__ = ("_span", "_spans", "head")

    def __init__(self, spans: RequestSpans, span: CallSpan, head: bytes) -> None:
        self._spans = spans
        self._span = span
        self.head = head
        """Header lines for the provider: trace context, request id."""

    @property
    def span_id(self) -> int:
        return self._span.span_id

    def answered(self, body: bytes) -> None:
        """Takes note of the model that a whole answer names."""
        if len(body) <= _PARSED_BYTES:
            self._span.response_model = _model_in(body)

    def watch(self, response: AnswerStream) -> AnswerStream:
        """The same stream, looked at until it names its model."""
        return _WatchedStream(response, self)

    def named(self, model: str) -> None:
        self._span.response_model = model

    def end(self, error_type: str, quantities: Mapping[str, int]) -> None:
        """Exports the span; `quantities` as billed."""
        span = self._span
        span.error_type, span.is_error = error_type, bool(error_type) and error_type not in _BLAMELESS
        span.quantities = quantities
        span.end_nanos = unix_micros() * 1_000
        self._spans.export_call(span)


def span_of(tried: Served, request: RequestSpan, operation: Operation, ended: float) -> CallSpan:
    """A call as a span of the request that it was made for, which ended at this loop time."""

    def nanos(at: float) -> int:
        return request.end_nanos - int((ended - at) * 1_000_000_000)

    return CallSpan(
        request.trace_id,
        tried.traced.span_id if tried.traced is not None else int(new_span_id(), 16),
        request.span_id,
        operation,
        provider_name(tried.leg.provider.kind, tried.leg.provider.code),
        tried.leg.target.upstream_model,
        stream=not tried.ended_at,
        server=_server(tried.leg.provider.base_url),
        start_nanos=nanos(tried.started_at),
        end_nanos=nanos(tried.ended_at or ended),
        error_type=tried.error_type,
        is_error=bool(tried.error_type) and tried.error_type not in _BLAMELESS,
    )


def call_settled(served: Served, outcome: Outcome, error_type: str) -> None:
    """An answer is about to be billed like this; `error_type` is empty where the provider gave what was asked for."""
    quantities = outcome.quantities
    if served.leg.own_key or BATCH_REQUESTS in quantities:
        quantities = as_counted(quantities)
    served.leg.calls.billed(quantities)
    if served.traced is not None:
        served.traced.end(error_type, quantities)


def whole_error(status: int) -> str:
    """What is said of a call whose whole answer has this status; empty = it is no error."""
    return str(status) if status >= 400 else ""


def how_a_stream_ended(outcome: Outcome, failed: str | None) -> str:
    """Why a stream did not come to its end; empty = it did."""
    if outcome.status >= 400:
        return outcome.attributes.get("estimated", "").partition("/")[0] or str(outcome.status)
    return "provider_failed" if failed is not None else ""


def why_it_failed(error: Exception, status: int) -> str:
    """What is said of a call that failed; `status` of the provider's answer, 0 where there was none."""
    if status >= 400:
        return str(status)
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    if isinstance(error, OmniError):
        return error.code
    return "bad_answer" if isinstance(error, BadAnswer) else CLIENT_LEFT if isinstance(error, ClientGone) else "_OTHER"


class _WatchedStream:
    """A provider's stream whose first events are looked at for the name of the model."""

    def __init__(self, inner: AnswerStream, call: TracedCall) -> None:
        self._inner = inner
        self._call = call
        self._seen: bytes | None = b""
        self.status = inner.status
        self.body = inner.body
        self.content_type = inner.content_type

    async def pump(self, sink: Callable[[bytes], bool]) -> bool:
        """As BackendResponse.pump."""

        def look(data: bytes) -> bool:
            if self._seen is not None:
                self._look(self._seen + data)
            return sink(data)

        return await self._inner.pump(sink if self._seen is None else look)

    async def read(self) -> bytes:
        data = await self._inner.read()
        if self._seen is not None:
            self._look(self._seen + data)
        return data

    def _look(self, seen: bytes) -> None:
        for line in _whole_lines(seen):
            if line.startswith(b"data:") and (model := _model_in(line[5:])):
                self._call.named(model)
                self._seen = None
                return
        self._seen = seen if len(seen) < _LOOKED_AT_BYTES else None

    async def read_whole(self, limit_bytes: int) -> bytes:
        return await self._inner.read_whole(limit_bytes)

    def allow_until(self, deadline: float) -> None:
        self._inner.allow_until(deadline)

    def abort(self, error: Exception) -> None:
        self._inner.abort(error)

    def header(self, name: bytes) -> bytes:
        return self._inner.header(name)


def _whole_lines(data: bytes) -> Iterator[bytes]:
    return iter(data[: data.rfind(b"\n") + 1].split(b"\n"))


def _model_in(document: bytes) -> str:
    """The model that an answer, or the first event of one, says that it is from; empty = none."""
    try:
        row: Any = orjson.loads(document)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(row, dict):
        return ""
    inner = row.get("message") or row.get("response")  # Messages and Responses begin with the whole around it
    for each in (row, inner):
        if isinstance(each, dict):
            found = each.get("model") or each.get("modelVersion")
            if isinstance(found, str) and _MODEL.fullmatch(found):
                return found
    return ""


def _server(base_url: str) -> tuple[str, int] | None:
    parts = urlsplit(base_url)
    if not parts.hostname:
        return None
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
