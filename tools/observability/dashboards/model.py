"""A dashboard as data, and the few shapes that queries have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "table", "heatmap", "bargauge"]
GATEWAY, BACKEND, CONSOLE = 'process="gateway"', 'process="backend"', 'process="console"'
HTTP = "http_server_request_duration_seconds"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL without matchers of job and instance, which every selector gets; `[R]` stands for the rate's interval."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `alerts` are those whose runbooks it links to; `thresholds` are where it turns orange, then red."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    alerts: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    low_is_bad: bool = False
    """Whether what is below a threshold is bad: then `thresholds` are where it turns orange, then green."""
    stacked: bool = False
    width: int = 8
    """Of 24."""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`uid` is also the file's name and the end of its address."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)


def rate(metric: str, where: str = "", by: str = "") -> str:
    """Per second, summed over all processes, or for each value of the labels `by`."""
    return f"sum{_by(by)} (rate({metric}{_where(where)}[R]))"


def increase(metric: str, where: str = "", by: str = "") -> str:
    """How many in the rate's interval."""
    return f"sum{_by(by)} (increase({metric}{_where(where)}[R]))"


def share(part: str, whole: str) -> str:
    """`part` / `whole`; 0 while there is no part, nothing while there is no whole."""
    return f"({part} or 0 * {whole}) / {whole}"


def quantile(q: float, histogram: str, where: str = "", by: str = "") -> str:
    """Of a histogram whose name is given without `_bucket`."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q:g}, {rate(f'{histogram}_bucket', where, labels)})"


def mean(histogram: str, where: str = "", by: str = "") -> str:
    return f"{rate(f'{histogram}_sum', where, by)} / {rate(f'{histogram}_count', where, by)}"


def percentiles(histogram: str, where: str = "") -> tuple[Query, ...]:
    """p50, p95 and p99."""
    return tuple(Query(quantile(q / 100, histogram, where), f"p{q}") for q in (50, 95, 99))


def heat(histogram: str, where: str = "") -> tuple[Query, ...]:
    """Buckets, for a heatmap."""
    return (Query(increase(f"{histogram}_bucket", where, "le"), "{{le}}"),)


def one(expr: str, legend: str = "") -> tuple[Query, ...]:
    return (Query(expr, legend),)


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _where(matchers: str) -> str:
    return f"{{{matchers}}}" if matchers else ""
