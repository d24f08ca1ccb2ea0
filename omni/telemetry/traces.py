"""Traces: W3C context in and out, spans exported over OTLP where an endpoint is configured, and kept where a keeper is.

Ids are always there, for logs and for the next process. What a request did is noted only where an exporter or a keeper
may want it. Spans of traces that were not sampled are exported all the same when the request failed or was slow.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from omni.telemetry.finished import Attributes, FinishedSpan, Kind, error_type, http_attributes
from omni.telemetry.local_traces import LocalTrace, new_span_id, new_trace_id, working_below
from omni.telemetry.otlp import OtlpExport, Sampler

SLOW_SECONDS = 1.0
PROBES = frozenset({"/livez", "/readyz"})
"""Routes whose failures say how the process is, not how it served somebody."""


class TraceKeeper(Protocol):
    """Takes the spans of one process's part of a trace that failed or was slow. Waits for nothing."""

    def keep(self, spans: Sequence[FinishedSpan]) -> None:
        """The root span comes first."""

    def close(self) -> None: ...


class RootSpan:
    """The span of one request or task."""

    def __init__(self, tracing: Tracing, name: str, kind: Kind, parent: SpanContext | None) -> None:
        self._tracing = tracing
        self._kind = kind
        self._parent_id = parent.span_id if parent is not None else None
        self._name = name
        self._attributes: Attributes = {}
        self._is_error = self._is_probe = False
        self._start_nanos = time.time_ns()
        self._end_nanos = 0
        self.context = tracing.new_context(parent)
        self.local = LocalTrace(self.context.trace_id, self.context.span_id, int(self.context.trace_flags))

    @property
    def kept_trace_id(self) -> str:
        """Known once the span has finished; empty when nobody will find the trace."""
        return f"{self.context.trace_id:032x}" if self._tracing.wants(self) else ""

    @property
    def is_notable(self) -> bool:
        """Whether it failed or took long."""
        if self._is_probe:
            return False
        return self._is_error or (self._end_nanos or time.time_ns()) - self._start_nanos >= self._tracing.slow_nanos

    def finish_http(self, method: str, route: str, status: int) -> None:
        """Records how the request ended. 4xx is the caller's doing and leaves the status unset."""
        self._name, attributes = http_attributes(method, route, status)
        self._attributes = {**self._attributes, **attributes}
        self._is_error, self._is_probe = status >= 500, route in PROBES
        self._end_nanos = time.time_ns()

    def fail(self, error: BaseException) -> None:
        """Records that it failed, the first time; the text of the error stays out."""
        self._is_error = True
        self._attributes = {"error.type": error_type(error), **self._attributes}

    def finished(self) -> list[FinishedSpan]:
        """Itself and its steps."""
        root = FinishedSpan(
            self.context.trace_id, self.context.span_id, self._parent_id, True, self._name, self._kind,
            self._start_nanos, self._end_nanos or time.time_ns(), self._is_error, self._attributes,
        )  # fmt: skip
        return [root, *self.local.spans()]


class Tracing:
    """The traces of a process."""

    def __init__(
        self, process: str, version: str, otlp_endpoint: str | None, sample_ratio: float = 1.0,
        keeper: TraceKeeper | None = None, slow_seconds: float = SLOW_SECONDS, per_second: int = 0,
    ) -> None:  # fmt: skip
        self._otlp = OtlpExport(process, version, otlp_endpoint) if otlp_endpoint else None
        self._sampler = Sampler(sample_ratio, per_second)
        self._keeper = keeper
        self._records = self._otlp is not None or keeper is not None
        self._propagator = TraceContextTextMapPropagator()
        self.slow_nanos = int(slow_seconds * 1_000_000_000)

    @contextmanager
    def server_span(self, name: str, traceparent: str) -> Iterator[RootSpan]:
        """A SERVER span that continues the caller's trace."""
        with self._root(name, "server", traceparent) as span:
            yield span

    @contextmanager
    def task_span(self, name: str, traceparent: str | None) -> Iterator[RootSpan]:
        """A CONSUMER span that continues the trace of whoever enqueued the task."""
        with self._root(f"process {name}", "consumer", traceparent) as span:
            yield span

    def close(self) -> None:
        """Exports and keeps what is still waiting, for a few seconds at most."""
        if self._otlp is not None:
            self._otlp.close()
        if self._keeper is not None:
            self._keeper.close()

    def new_context(self, parent: SpanContext | None) -> SpanContext:
        """Ids of a root span; sampled where this process exports it."""
        trace_id = parent.trace_id if parent is not None else new_trace_id()
        sampled = self._otlp is not None and (
            parent.trace_flags.sampled if parent is not None else self._sampler.samples(trace_id)
        )
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return SpanContext(trace_id, new_span_id(), is_remote=False, trace_flags=flags)

    def wants(self, span: RootSpan) -> bool:
        """Whether its spans are exported or kept."""
        return self._records and (span.context.trace_flags.sampled or span.is_notable)

    @contextmanager
    def _root(self, name: str, kind: Kind, traceparent: str | None) -> Iterator[RootSpan]:
        span = RootSpan(self, name, kind, self._parent(traceparent))
        token = context.attach(trace.set_span_in_context(NonRecordingSpan(span.context)))
        try:
            with working_below(span.local if self._records else None):
                yield span
        except Exception as error:
            span.fail(error)
            raise
        finally:
            context.detach(token)
            if self.wants(span):
                self._hand_over(span)

    def _hand_over(self, span: RootSpan) -> None:
        spans = span.finished()
        if self._otlp is not None:
            for each in spans:
                self._otlp.export(each)
        if self._keeper is not None and span.is_notable:
            self._keeper.keep(spans)

    def _parent(self, traceparent: str | None) -> SpanContext | None:
        if not traceparent:
            return None
        found = trace.get_current_span(self._propagator.extract({"traceparent": traceparent})).get_span_context()
        return found if found.is_valid else None


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, to hand on."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
