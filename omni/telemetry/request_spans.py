"""Spans with ids that are already given, exported over OTLP: for a process whose hot path does without the SDK."""

from __future__ import annotations

import threading

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from omni.telemetry.metrics import KNOWN_METHODS
from omni.telemetry.spans import RequestSpan
from omni.telemetry.traces import SCHEMA_URL, otlp_exporter, process_resource

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_CLOSE_SECONDS = 3.0


class OtlpRequestSpans:
    """SERVER spans in batches, sent by a thread. What a dead collector does not take is dropped."""

    def __init__(self, process: str, version: str, otlp_endpoint: str, sample_ratio: float = 1.0) -> None:
        self._processor = BatchSpanProcessor(otlp_exporter(otlp_endpoint))
        self._resource = process_resource(process, version)
        self._scope = InstrumentationScope("omni", version, SCHEMA_URL)
        self._bound = TraceIdRatioBased(sample_ratio).bound

    def samples(self, trace_id: int) -> bool:
        """As the SDK's ratio sampler decides, so that all processes agree."""
        return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound

    def export(self, span: RequestSpan) -> None:
        method = span.method if span.method in KNOWN_METHODS else "_OTHER"
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "url.scheme": "http",
        }
        if span.status:
            attributes["http.response.status_code"] = span.status
        name = method if method != "_OTHER" else "HTTP"
        if span.route is not None:
            attributes["http.route"] = span.route
            name = f"{name} {span.route}"
        parent = SpanContext(span.trace_id, span.parent_id, is_remote=True) if span.parent_id is not None else None
        self._processor.on_end(
            ReadableSpan(
                name,
                SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED),
                parent,
                self._resource,
                attributes,
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if span.status >= 500 else StatusCode.UNSET),
                start_time=span.start_nanos,
                end_time=span.end_nanos,
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Exports what is still waiting, for a few seconds at most: a dead collector does not hold up the end."""
        closing = threading.Thread(target=self._processor.shutdown, name="close-spans", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
