"""The keeper's twin: spans in memory."""

from __future__ import annotations

from collections.abc import Sequence

from omni.telemetry.finished import FinishedSpan
from omni.telemetry.traces import Tracing


class KeptSpans:
    """Shows what it was given: a part for each request or task, the root first."""

    def __init__(self) -> None:
        self.parts: list[Sequence[FinishedSpan]] = []
        self.closed = False

    def keep(self, spans: Sequence[FinishedSpan]) -> None:
        self.parts.append(spans)

    def close(self) -> None:
        self.closed = True

    def tracing(self, process: str = "tests") -> Tracing:
        """A process's tracing of which everything is kept here."""
        return Tracing(process, "1", None, keeper=self, slow_seconds=0)
