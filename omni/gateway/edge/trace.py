"""W3C trace context: take the client's trace or begin one, and hand a child span on."""

from __future__ import annotations

import random
import re

from omni.telemetry.local_traces import new_trace_id
from omni.telemetry.spans import RequestSpan, RequestSpans

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class Trace:
    """The trace that a request belongs to and the gateway's own span in it."""

    __slots__ = ("flags", "parent_id", "span_id", "trace_id")

    def __init__(
        self,
        traceparent: bytes | None,
        spans: RequestSpans | None = None,
        *,
        chosen_id: int = 0,
        left_out: bool = False,
    ) -> None:
        """Where it begins here, `chosen_id` is the id of one that is exported, and `left_out` says that it is not."""
        match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
        self.parent_id: bytes | None
        if match is None:
            if not chosen_id and spans is not None and not left_out:
                chosen_id = spans.sampled_id()
            self.trace_id, self.span_id, self.parent_id = b"%032x" % (chosen_id or new_trace_id()), new_span_id(), None
            self.flags = b"01" if chosen_id or (spans is None and not left_out) else b"00"
        else:
            self.trace_id, self.parent_id, self.flags = match[1], match[2], match[3]
            self.span_id = new_span_id()
            if spans is not None and self.sampled and not spans.has_room():
                self.flags = b"00"

    @property
    def sampled(self) -> bool:
        """Whether the span is to be exported: what the client said, or the ratio where the trace begins here; neither
        beyond what is exported in a second."""
        return bool(int(self.flags, 16) & 1)

    def header(self) -> bytes:
        """The `traceparent` value for what the gateway calls."""
        return self.header_below(self.span_id)

    def header_below(self, span_id: bytes) -> bytes:
        """The same for what is called under a span of the gateway's within its own."""
        return b"00-%b-%b-%b" % (self.trace_id, span_id, self.flags)

    def server_span(
        self, method: bytes, route: str | None, status: int, start_nanos: int, end_nanos: int
    ) -> RequestSpan:
        """The gateway's span of a request that is over."""
        return RequestSpan(
            int(self.trace_id, 16),
            int(self.span_id, 16),
            int(self.parent_id, 16) if self.parent_id is not None else None,
            method.decode("latin-1"),
            route,
            status,
            start_nanos,
            end_nanos,
        )


def new_span_id() -> bytes:
    """An id of a span, as it is written in `traceparent`."""
    return b"%016x" % (random.getrandbits(64) or 1)
