"""Traces: W3C context in and out, spans exported over OTLP when an endpoint is configured.

Without an endpoint the spans still carry ids, for logs and for the next process, but nothing records or exports them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"


def process_resource(process: str, version: str) -> Resource:
    """What every span of a process says of it."""
    return Resource.create({"service.name": f"omni-{process}", "service.version": version}, SCHEMA_URL)


def otlp_exporter(endpoint: str) -> OTLPSpanExporter:
    """Sends to a collector's OTLP/HTTP base URL."""
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)


class ServerSpan:
    """The span of one request."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def exported_trace_id(self) -> str:
        """Empty when the span is not exported."""
        context = self._span.get_span_context()
        return f"{context.trace_id:032x}" if context.trace_flags.sampled else ""

    def finish_http(self, method: str, route: str, status: int) -> None:
        """Records how the request ended. 4xx is the caller's doing and leaves the status unset."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.request.method", method)
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("url.scheme", "http")
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


class Tracing:
    """The tracer of a process."""

    def __init__(self, process: str, version: str, otlp_endpoint: str | None, sample_ratio: float = 1.0) -> None:
        sampler = ParentBased(TraceIdRatioBased(sample_ratio)) if otlp_endpoint else ALWAYS_OFF
        resource = process_resource(process, version)
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        if otlp_endpoint:
            self._provider.add_span_processor(BatchSpanProcessor(otlp_exporter(otlp_endpoint)))
        self._tracer = self._provider.get_tracer("omni", version, SCHEMA_URL)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def server_span(self, name: str, traceparent: str) -> Iterator[ServerSpan]:
        """A SERVER span that continues the caller's trace."""
        parent = self._propagator.extract({"traceparent": traceparent}) if traceparent else None
        with self._tracer.start_as_current_span(name, context=parent, kind=SpanKind.SERVER) as span:
            yield ServerSpan(span)

    @contextmanager
    def task_span(self, name: str, traceparent: str | None) -> Iterator[None]:
        """A CONSUMER span that continues the trace of whoever enqueued the task."""
        parent = self._propagator.extract({"traceparent": traceparent}) if traceparent else None
        with self._tracer.start_as_current_span(f"process {name}", context=parent, kind=SpanKind.CONSUMER):
            yield

    def close(self) -> None:
        """Exports what is still waiting."""
        self._provider.shutdown()


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, to hand on."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
