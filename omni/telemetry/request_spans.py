"""Spans with ids that are already given, exported over OTLP: for a process whose hot path does without the SDK."""

from __future__ import annotations

import threading

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from omni.telemetry import gen_ai
from omni.telemetry.metrics import KNOWN_METHODS
from omni.telemetry.spans import CallSpan, RequestSpan
from omni.telemetry.traces import SCHEMA_URL, otlp_exporter, process_resource

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_CLOSE_SECONDS = 3.0


class OtlpRequestSpans:
    """SERVER and CLIENT spans in batches, sent by a thread. What a dead collector does not take is dropped."""

    def __init__(self, process: str, version: str, otlp_endpoint: str, sample_ratio: float = 1.0) -> None:
        self._processor = BatchSpanProcessor(otlp_exporter(otlp_endpoint))
        self._resource = process_resource(process, version)
        self._scope = InstrumentationScope("omni", version, SCHEMA_URL)
        self._call_scope = InstrumentationScope("omni", version, gen_ai.SCHEMA_URL)
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

    def export_call(self, span: CallSpan) -> None:
        operation = gen_ai.operation_name(span.operation)
        attributes: dict[str, str | int | bool] = {
            gen_ai.OPERATION_NAME: operation,
            gen_ai.PROVIDER_NAME: span.provider,
            gen_ai.REQUEST_MODEL: span.model,
            **gen_ai.usage_attributes(span.quantities),
        }
        if span.stream:
            attributes[gen_ai.REQUEST_STREAM] = True
        if span.response_model:
            attributes[gen_ai.RESPONSE_MODEL] = span.response_model
        if span.server is not None:
            attributes[gen_ai.SERVER_ADDRESS], attributes[gen_ai.SERVER_PORT] = span.server
        if span.error_type:
            attributes[gen_ai.ERROR_TYPE] = span.error_type
        self._processor.on_end(
            ReadableSpan(
                f"{operation} {span.model}",
                SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED),
                SpanContext(span.trace_id, span.parent_id, is_remote=False, trace_flags=_SAMPLED),
                self._resource,
                attributes,
                kind=SpanKind.CLIENT,
                status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
                start_time=span.start_nanos,
                end_time=span.end_nanos,
                instrumentation_scope=self._call_scope,
            )
        )

    def close(self) -> None:
        """Exports what is still waiting, for a few seconds at most: a dead collector does not hold up the end."""
        closing = threading.Thread(target=self._processor.shutdown, name="close-spans", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
