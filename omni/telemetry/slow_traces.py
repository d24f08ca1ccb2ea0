"""Traces that failed or were slow, for an operator without a trace backend: how they are written and put together.

A part is what one process did below one root span. Parts of a trace come from several processes, in any order. Pure:
who has a connection to Redis runs the script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from omni.telemetry.finished import FinishedSpan

SPANS_LIMIT = 64
"""Of a part: its root, what failed, and what took longest."""
TRACES_LIMIT = 500
PARTS_LIMIT = 16
"""Of a trace. A client that sends one trace id with everything gets no more."""
KEEP_SECONDS = 2 * 3600
TEXT_LIMIT = 200
"""Characters of a name or attribute."""
PARTS_PER_SECOND = 10
"""Of one process: an outage that fails every request must not cost more than the requests."""

Status = Literal["ok", "error"]


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """One bar of a waterfall."""

    process: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    offset_ms: float
    """From the start of the trace."""
    duration_ms: float
    status: Status
    depth: int
    """How many spans are above it; 0 where its parent is not known here."""
    attributes: Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of one trace."""

    trace_id: str
    started_at: datetime
    duration_ms: float
    """Of the longest request or task in it: what somebody waited for. Tasks may go on long after a request."""
    name: str
    """Of the first request or task."""
    status: Status
    """`error` when a request or task in it failed."""
    spans: tuple[TraceSpan, ...]
    """A span comes after its parent, and spans of one parent in the order in which they began."""


def to_part(process: str, spans: Sequence[FinishedSpan]) -> bytes:
    """What is stored of a process's spans, the root first."""
    root, *steps = spans
    chosen = sorted(steps, key=lambda span: (not span.is_error, span.start_nanos - span.end_nanos))[: SPANS_LIMIT - 1]
    return orjson.dumps({"process": process, "spans": [_to_row(span) for span in (root, *chosen)]})


def script_arguments(prefix: str, root: FinishedSpan, part: bytes) -> tuple[str | int | bytes, ...]:
    """The arguments of keep_trace.lua behind its keys; `prefix` of the traces' keys."""
    trace_id, span_id, ended_ms = f"{root.trace_id:032x}", f"{root.span_id:016x}", root.end_nanos // 1_000_000
    return trace_id, span_id, part, ended_ms, KEEP_SECONDS, TRACES_LIMIT, PARTS_LIMIT, prefix


def to_trace(trace_id: str, parts: Iterable[bytes]) -> Trace | None:
    """A trace from its parts; None when there is none."""
    rows = [{**row, "process": part["process"]} for part in map(orjson.loads, parts) for row in part["spans"]]
    if not rows:
        return None
    known = {row["id"] for row in rows}
    below: dict[str | None, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["start"], -row["end"])):
        below.setdefault(row["parent"] if row["parent"] in known else None, []).append(row)
    start = min(row["start"] for row in rows)
    roots = [row for row in rows if row["kind"] in ("server", "consumer")] or rows
    first = min(roots, key=lambda row: row["start"])
    return Trace(
        trace_id,
        datetime.fromtimestamp(start / 1e9, UTC),
        max(_milliseconds(row["end"] - row["start"]) for row in roots),
        first["name"],
        "error" if any(row["error"] for row in roots) else "ok",
        tuple(_to_span(row, start, depth) for row, depth in _in_order(below)),
    )


def _in_order(below: Mapping[str | None, list[dict[str, Any]]]) -> Iterator[tuple[dict[str, Any], int]]:
    waiting = [(row, 0) for row in reversed(below.get(None, ()))]
    while waiting:
        row, depth = waiting.pop()
        yield row, depth
        waiting += [(child, depth + 1) for child in reversed(below.get(row["id"], ()))]


def _to_row(span: FinishedSpan) -> dict[str, Any]:
    attributes = {name: v[:TEXT_LIMIT] if isinstance(v, str) else v for name, v in span.attributes.items()}
    return {
        "id": f"{span.span_id:016x}",
        "parent": f"{span.parent_id:016x}" if span.parent_id is not None else None,
        "name": span.name[:TEXT_LIMIT],
        "kind": span.kind,
        "start": span.start_nanos,
        "end": span.end_nanos,
        "error": span.is_error,
        "attributes": attributes,
    }


def _to_span(row: dict[str, Any], start_nanos: int, depth: int) -> TraceSpan:
    return TraceSpan(
        row["process"], row["id"], row["parent"], row["name"], row["kind"],
        _milliseconds(row["start"] - start_nanos), _milliseconds(row["end"] - row["start"]),
        "error" if row["error"] else "ok", depth, row["attributes"],
    )  # fmt: skip


def _milliseconds(nanos: int) -> float:
    return round(nanos / 1e6, 3)
