"""Finished spans to an OTLP collector, in batches, by a thread. What a dead collector does not take is dropped."""

from __future__ import annotations

import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from omni.telemetry.finished import FinishedSpan
from omni.telemetry.local_traces import new_trace_id
from omni.telemetry.pace import Pace

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_CLOSE_SECONDS = 3.0
_BURST_SECONDS = 10
_KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
    "consumer": SpanKind.CONSUMER,
}


class OtlpExport:
    """One process's way to its collector."""

    def __init__(self, process: str, version: str, endpoint: str) -> None:
        """`endpoint` is the collector's OTLP/HTTP base URL."""
        self._version = version
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
        self._processor = BatchSpanProcessor(exporter)
        self._resource = Resource.create({"service.name": f"omni-{process}", "service.version": version}, SCHEMA_URL)
        self._scopes: dict[str, InstrumentationScope] = {}

    def export(self, span: FinishedSpan, schema_url: str = SCHEMA_URL) -> None:
        """Takes a span, whatever its trace's flags say: who calls has chosen. Waits for nothing."""
        parent = None
        if span.parent_id is not None:
            parent = SpanContext(span.trace_id, span.parent_id, span.parent_is_remote, _SAMPLED)
        self._processor.on_end(
            ReadableSpan(
                span.name,
                SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED),
                parent,
                self._resource,
                span.attributes,
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
                start_time=span.start_nanos,
                end_time=span.end_nanos,
                instrumentation_scope=self._scope(schema_url),
            )
        )

    def close(self) -> None:
        """Exports what is still waiting, for a few seconds at most: a dead collector does not hold up the end."""
        closing = threading.Thread(target=self._processor.shutdown, name="close-spans", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    def _scope(self, schema_url: str) -> InstrumentationScope:
        scope = self._scopes.get(schema_url)
        if scope is None:
            scope = self._scopes[schema_url] = InstrumentationScope("omni", self._version, schema_url)
        return scope


class Sampler:
    """Which traces are exported: of those that begin here a share, as the SDK's ratio sampler decides, so that all
    agree; and so many a second at most, so that what traces cost does not grow with the requests."""

    def __init__(self, ratio: float, per_second: int) -> None:
        """`per_second` 0 = no limit. It is a mean over ten seconds, so that a short burst is traced whole."""
        self._bound = TraceIdRatioBased(ratio).bound
        self._pace = Pace(per_second, _BURST_SECONDS)

    def samples(self, trace_id: int) -> bool:
        return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound and self._pace.allows()

    def sampled_id(self) -> int:
        """The id of a trace that begins here and is exported; 0 = it is not, at next to no cost where the limit is
        reached."""
        if self._pace.is_spent():
            return 0
        trace_id = new_trace_id()
        return trace_id if self.samples(trace_id) else 0

    def has_room(self) -> bool:
        """Whether a trace that somebody else has chosen may be exported, too."""
        return self._pace.allows()
