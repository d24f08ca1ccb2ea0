"""What the operations page is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """A process whose metrics are read."""

    process: str
    address: str
    """host:port of its `/metrics`."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one series in one slot of time."""

    total: float
    """Counters and buckets: by how much they grew. Gauges: the sum of what was read."""
    count: int
    """How many times it was read."""
    smallest: float
    largest: float

    def __add__(self, other: Cell) -> Cell:
        return Cell(
            self.total + other.total,
            self.count + other.count,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )


Slots = Mapping[int, Cell]
"""Cells by the second (Unix time) at which their slot begins."""


@dataclass(frozen=True, slots=True)
class Span:
    """How far back a chart looks, and how wide its slots are."""

    name: str
    length: timedelta
    step: int
    """Seconds."""


SPANS: Mapping[str, Span] = {
    "1h": Span("1h", timedelta(hours=1), 60),
    "6h": Span("6h", timedelta(hours=6), 300),
    "24h": Span("24h", timedelta(hours=24), 900),
    "7d": Span("7d", timedelta(days=7), 7200),
}

Unit = Literal["per_second", "seconds", "bytes", "number", "ratio"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; None where nothing is known."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over the same moments."""

    code: str
    title: str
    unit: Unit
    stacked: bool
    starts: Sequence[datetime]
    """Where each slot begins."""
    lines: Sequence[Line]


Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong now."""

    name: str
    """Also the name of its runbook."""
    severity: Severity
    summary: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it was last read."""

    name: str
    up: bool
    version: str
    memory_bytes: float | None
    cores: float | None
    """Cores in use over the last minutes; of replicas, their mean."""
    up_since: datetime | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What the gateway did over the whole span."""

    requests: float
    failed: float
    """Answered with 5xx."""
    p95_seconds: float | None
    requests_per_second: float | None
    """Of the time that figures are known for; None when there is no such time."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the page shows, except traces."""

    now: datetime
    span: Span
    totals: Totals
    charts: Sequence[Chart]
    alerts: Sequence[Alert]
    alerts_from: str
    """Who found them, in words for the page."""
    processes: Sequence[Process]
    read_at: datetime | None
    """When metrics were last read; None = never."""
    trouble: str
    """Why they could not be read just now; empty when they could."""
