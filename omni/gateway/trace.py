"""W3C trace context: take the client's trace or begin one, and hand a child span on."""

from __future__ import annotations

import os
import re

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")


class Trace:
    """The trace that a request belongs to and the gateway's own span in it."""

    __slots__ = ("flags", "span_id", "trace_id")

    def __init__(self, traceparent: bytes | None) -> None:
        match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
        if match is None:
            random = os.urandom(24).hex().encode("ascii")
            self.trace_id, self.flags, self.span_id = random[:32], b"01", random[32:]
        else:
            self.trace_id, self.flags, self.span_id = match[1], match[2], os.urandom(8).hex().encode("ascii")

    def header(self) -> bytes:
        """The `traceparent` value for what the gateway calls."""
        return b"00-%b-%b-%b" % (self.trace_id, self.span_id, self.flags)
