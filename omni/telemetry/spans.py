"""What a process that makes its own spans hands over. Without the SDK, so that a lean process may import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """One request that was served, under the ids that its process logged and handed on."""

    trace_id: int
    span_id: int
    parent_id: int | None
    """The caller's span; None where the trace begins here."""
    method: str
    route: str | None
    """Template of the path; None when no route matched."""
    status: int
    """0 when the caller left before an answer began."""
    start_nanos: int
    end_nanos: int


class RequestSpans(Protocol):
    """Takes spans of sampled requests. Neither method waits for anything."""

    def samples(self, trace_id: int) -> bool:
        """Whether a trace that begins here is exported."""

    def export(self, span: RequestSpan) -> None: ...
