"""What a process that makes its own spans hands over. Without the SDK, so that a lean process may import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class CallSpan:
    """One call to a provider of a model, made for a request."""

    trace_id: int
    span_id: int
    parent_id: int
    operation: str
    """The platform's name of it, e.g. `messages`."""
    provider: str
    """As `omni.telemetry.gen_ai.provider_name` says."""
    model: str
    """Its name at the provider."""
    stream: bool
    server: tuple[str, int] | None
    """Host and port; None where they are not known before the call."""
    start_nanos: int
    end_nanos: int = 0
    response_model: str = ""
    """What the provider says that it was; empty = it did not say."""
    quantities: Mapping[str, int] = field(default_factory=dict)
    """By meter, as billed."""
    error_type: str = ""
    """Why it did not come to its end, in few words that are always the same; empty = it did."""
    is_error: bool = False
    """False where nobody is to blame: the client left, or another call was faster."""


class RequestSpans(Protocol):
    """Takes spans of sampled requests. No method waits for anything."""

    def sampled_id(self) -> int:
        """The id of a trace that begins here and is exported; 0 = it is not exported."""

    def has_room(self) -> bool:
        """Whether one that is exported for what its caller says, or for how it ended, may be so now."""

    def export(self, span: RequestSpan) -> None: ...

    def export_call(self, span: CallSpan) -> None: ...
