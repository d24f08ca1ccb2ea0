"""Which figures are kept of the processes' metrics, and how rates, quantiles and findings come of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Literal

from omni.domains.operations.contracts import Alert, Cell, Chart, Line, Severity, Slots, Span, Target, Totals, Unit

ROUND_SECONDS = 15
COVERED = "covered_seconds"
"""The series of how many seconds the counters of a slot stand for: less than the slot's width where reading failed."""
MOST_LINES = 6
MOST_MISSED = 4
"""Slots that may be missing before what went before no longer counts as the same trouble."""

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a process's metrics."""

    name: str
    labels: Labels
    value: float


def as_it_is(value: str) -> str:
    return value


def status_class(status: str) -> str:
    """`503` is `5xx`; what is no status, such as a caller who left, is `other`."""
    return f"{status[0]}xx" if len(status) == 3 and status.isdigit() else "other"


@dataclass(frozen=True, slots=True)
class Measure:
    """What is kept of one metric: series `code|value of the label`, or `code` alone."""

    code: str
    metric: str
    """Name of the samples, with their suffix."""
    how: Literal["grow", "sum", "max", "min"]
    """Growth of counters and buckets; or how the gauges of several processes become one."""
    by: str = ""
    """A label of the sample, or `process`."""
    fold: Callable[[str], str] = as_it_is
    where: Labels = field(default_factory=dict)


DURATION = "http_server_request_duration_seconds"
FIRST_CHUNK = "gen_ai_client_inference_time_to_first_chunk_seconds"
GATEWAY = {"process": "gateway"}

MEASURES: Sequence[Measure] = (
    Measure("requests", f"{DURATION}_count", "grow", "http_response_status_code", status_class, GATEWAY),
    Measure("latency", f"{DURATION}_bucket", "grow", "le", where=GATEWAY),
    Measure("decisions", "omni_admit_decisions_total", "grow", "decision"),
    Measure("shed", "omni_gateway_shed_total", "grow"),
    Measure("open_requests", "omni_gateway_open_requests", "sum"),
    Measure("open_streams", "omni_gateway_open_streams", "sum"),
    Measure("open_holds", "omni_holds_open", "sum"),
    Measure("spool", "omni_gateway_spool_events", "sum"),
    Measure("provider_calls", "omni_provider_calls_total", "grow", "provider"),
    Measure("provider_failures", "omni_provider_failures_total", "grow", "provider"),
    Measure("open_breakers", "omni_provider_open_breakers", "sum"),
    Measure("first_chunk", f"{FIRST_CHUNK}_bucket", "grow", "le"),
    Measure("tokens", "omni_tokens_total", "grow", "meter"),
    Measure("stream_entries", "omni_usage_stream_entries", "max"),
    Measure("drain_delay", "omni_usage_drain_delay_seconds_bucket", "grow", "le"),
    Measure("outbox_oldest", "omni_outbox_oldest_seconds", "max"),
    Measure("queued_tasks", "omni_task_queue_messages", "max"),
    Measure("dead_messages", "omni_dead_messages", "max"),
    Measure("tasks", "omni_task_duration_seconds_count", "grow", "outcome"),
    Measure("engine_wait", "omni_engine_wait_seconds_bucket", "grow", "le"),
    Measure("models", "omni_serving_processes", "sum", "status"),
    Measure("models_limit", "omni_serving_processes_limit", "sum"),
    Measure("models_refused", "omni_serving_refused_total", "grow", where={"reason": "no_room"}),
    Measure("predictions", "omni_prediction_duration_seconds_count", "grow", "outcome"),
    Measure("jobs_waiting", "omni_jobs_waiting", "max", "kind"),
    Measure("jobs_oldest", "omni_jobs_oldest_seconds", "max"),
    Measure("statements", "db_client_operation_duration_seconds_bucket", "grow", "le"),
    Measure("postgres_connections", "omni_postgres_connections", "max"),
    Measure("postgres_limit", "omni_postgres_connections_limit", "max"),
    Measure("redis_memory", "omni_redis_memory_bytes", "max"),
    Measure("redis_limit", "omni_redis_memory_limit_bytes", "max"),
    Measure("redis_persistence", "omni_redis_persistence_ok", "min"),
    Measure("dependency", "omni_dependency_up", "max", "dependency"),
    Measure("differences", "omni_verification_differences", "max"),
    Measure("memory", "process_resident_memory_bytes", "sum", "process"),
    Measure("cpu", "process_cpu_seconds_total", "grow", "process"),
)
_BY_METRIC: Mapping[str, Sequence[Measure]] = {
    name: [measure for measure in MEASURES if measure.metric == name] for name in {each.metric for each in MEASURES}
}


class Readings:
    """Turns what the processes say, round by round, into figures of series. It remembers the last counters only."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[tuple[str, str], float]] = {}
        self._read_at: float | None = None

    def take(self, found: Mapping[Target, Sequence[Sample] | None], now: float) -> dict[str, float]:
        """Figures of a round, by series; None = the process did not answer. `now` in seconds, of any clock."""
        figures: dict[str, float] = {}
        if self._read_at is not None:
            figures[COVERED] = now - self._read_at
        self._read_at = now
        for target, samples in found.items():
            up = f"up|{target.process}"
            figures[up] = figures.get(up, 0.0) + (samples is not None)
            if samples is not None:
                self._take_target(target, samples, figures)
        self._counters = {
            address: counters
            for address, counters in self._counters.items()
            if address in {target.address for target in found}
        }
        return figures

    def _take_target(self, target: Target, samples: Sequence[Sample], figures: dict[str, float]) -> None:
        counters: dict[tuple[str, str], float] = {}
        process = {"process": target.process}
        for sample in samples:
            for measure in _BY_METRIC.get(sample.name, ()):
                labels = {**sample.labels, **process}
                if not isfinite(sample.value) or any(
                    labels.get(name) != value for name, value in measure.where.items()
                ):
                    continue
                series = series_of(measure, labels)
                if measure.how == "grow":
                    key = (sample.name, series)
                    counters[key] = counters.get(key, 0.0) + sample.value
                else:
                    figures[series] = _joined(measure.how, figures.get(series), sample.value)
        earlier = self._counters.get(target.address)
        self._counters[target.address] = counters
        if earlier is None:
            return
        for key, value in counters.items():
            before = earlier.get(key, 0.0)
            grown = value - before if value >= before else value  # less than before: the process started anew
            figures[key[1]] = figures.get(key[1], 0.0) + grown


def series_of(measure: Measure, labels: Labels) -> str:
    return f"{measure.code}|{measure.fold(labels.get(measure.by, ''))}" if measure.by else measure.code


def _joined(how: str, known: float | None, value: float) -> float:
    if known is None:
        return value
    if how == "sum":
        return known + value
    return max(known, value) if how == "max" else min(known, value)


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """By straight lines within a bucket, as Prometheus' histogram_quantile; None without any observation.

    `buckets`: how many were at most as large as the bound, by bound; the last bound is infinite.
    """
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    counts = [buckets[bound] for bound in bounds]
    rank = share * counts[-1]
    found = bisect_left(counts, rank)
    if bounds[found] == inf:
        return bounds[found - 1] if found else None
    lower, before = (bounds[found - 1], counts[found - 1]) if found else (0.0, 0.0)
    inside = counts[found] - before
    return lower + (bounds[found] - lower) * ((rank - before) / inside if inside else 1.0)


@dataclass(frozen=True, slots=True)
class ChartRule:
    """How a chart is drawn of the measures."""

    code: str
    title: str
    unit: Unit
    kind: Literal["rate", "level", "quantiles", "limits"]
    """Rate: growth per second, a line per label. Level: averages. Quantiles: of buckets. Limits: largest values."""
    measures: Mapping[str, str]
    """Names of the lines by code of the measure; an empty name = a line per value of the label."""
    stacked: bool = False
    hidden: frozenset[str] = frozenset()
    """Values of the label that have no line."""
    rare: bool = False
    """Whether what did not happen at all has no line: most of what may go wrong does not."""


CHARTS: Sequence[ChartRule] = (
    ChartRule("requests", "Requests", "per_second", "rate", {"requests": ""}, stacked=True),
    ChartRule("latency", "Latency of the gateway", "seconds", "quantiles", {"latency": ""}),
    ChartRule(
        "refused", "Refused by limits and load", "per_second", "rate", {"decisions": "", "shed": "overload"},
        hidden=frozenset({"admitted", "admitted_locally"}), rare=True,
    ),
    ChartRule(
        "open", "Open at the gateway", "number", "level",
        {"open_requests": "requests", "open_streams": "streams", "open_holds": "holds"},
    ),
    ChartRule("calls", "Calls to providers", "per_second", "rate", {"provider_calls": ""}),
    ChartRule("failures", "Failed calls to providers", "per_second", "rate", {"provider_failures": ""}, rare=True),
    ChartRule("first_chunk", "Time to first token", "seconds", "quantiles", {"first_chunk": ""}),
    ChartRule("tokens", "Tokens", "per_second", "rate", {"tokens": ""}),
    ChartRule("drain", "Request to metered usage", "seconds", "quantiles", {"drain_delay": ""}),
    ChartRule(
        "backlog", "Waiting work", "number", "limits",
        {"stream_entries": "usage events", "queued_tasks": "tasks", "dead_messages": "dead messages"},
    ),
    ChartRule("tasks", "Background tasks", "per_second", "rate", {"tasks": ""}, stacked=True),
    ChartRule("engines", "Wait for an engine", "seconds", "quantiles", {"engine_wait": ""}),
    ChartRule("predictions", "Answers of tenants' models", "per_second", "rate", {"predictions": ""}, rare=True),
    ChartRule("models", "Processes of models", "number", "limits", {"models": "", "models_limit": "allowed"}),
    ChartRule("jobs", "Waiting jobs of tenants", "number", "limits", {"jobs_waiting": ""}),
    ChartRule("statements", "SQL statements", "seconds", "quantiles", {"statements": ""}),
    ChartRule(
        "connections", "PostgreSQL connections", "number", "limits",
        {"postgres_connections": "open", "postgres_limit": "allowed"},
    ),
    ChartRule("redis", "Memory of Redis", "bytes", "limits", {"redis_memory": "used"}),
    ChartRule("memory", "Memory by process", "bytes", "level", {"memory": ""}, stacked=True),
    ChartRule("cpu", "Cores in use by process", "number", "rate", {"cpu": ""}, stacked=True),
)  # fmt: skip


def draw(rule: ChartRule, series: Mapping[str, Slots], span: Span, now: datetime) -> Chart:
    """A chart of the cells of all its series, which have the span's step."""
    end = int(now.timestamp()) // span.step * span.step
    starts = range(end - int(span.length.total_seconds()) + span.step, end + 1, span.step)
    covered = series.get(COVERED, {})
    lines: list[Line] = []
    for code, name in rule.measures.items():
        mine = {full.partition("|")[2]: slots for full, slots in series.items() if full.partition("|")[0] == code}
        if rule.kind == "quantiles":
            lines += _quantile_lines(mine, starts)
            continue
        for label, slots in sorted(mine.items()):
            values = [_value(rule, slots, covered, at) for at in starts]
            if label not in rule.hidden and not (rule.rare and not any(values)):
                lines.append(Line(name or label or code, values))
    moments = [datetime.fromtimestamp(at, UTC) for at in starts]
    return Chart(rule.code, rule.title, rule.unit, rule.stacked, moments, _most(lines))


def _value(rule: ChartRule, slots: Slots, covered: Slots, at: int) -> float | None:
    cell = slots.get(at)
    if rule.kind == "rate":
        seconds = covered[at].total if at in covered else 0.0
        return (cell.total if cell else 0.0) / seconds if seconds > 0 else None
    if cell is None:
        return None
    return cell.largest if rule.kind == "limits" else cell.total / cell.count


def _quantile_lines(buckets: Mapping[str, Slots], starts: Iterable[int]) -> list[Line]:
    """p50, p95 and p99 of each slot; nothing when there are no buckets at all."""
    by_slot = [{float(bound): slots[at].total for bound, slots in buckets.items() if at in slots} for at in starts]
    if not buckets:
        return []
    return [Line(f"p{share * 100:.0f}", [quantile(share, found) for found in by_slot]) for share in (0.5, 0.95, 0.99)]


def totals(series: Mapping[str, Slots]) -> Totals:
    """Of everything that is in the cells."""
    grown = {name: sum(cell.total for cell in slots.values()) for name, slots in series.items()}

    def of_code(code: str) -> dict[str, float]:
        return {name.partition("|")[2]: total for name, total in grown.items() if name.startswith(f"{code}|")}

    requests, buckets, seconds = of_code("requests"), of_code("latency"), grown.get(COVERED, 0.0)
    return Totals(
        sum(requests.values()),
        requests.get("5xx", 0.0),
        quantile(0.95, {float(bound): count for bound, count in buckets.items()}),
        sum(requests.values()) / seconds if seconds else None,
    )


def _most(lines: Sequence[Line]) -> list[Line]:
    """Those that matter most keep their own line; the rest of many is left out, never added to another."""
    ranked = sorted(lines, key=lambda line: -max((value for value in line.values if value is not None), default=0.0))
    kept = {id(line) for line in ranked[:MOST_LINES]}
    return [line for line in lines if id(line) in kept]


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is wrong when a series stays on one side of a limit."""

    alert: str
    severity: Severity
    summary: str
    series: str
    limit: float
    seconds: int
    """For how long, at least."""
    below: bool = False
    divisor: str = ""
    """A series that the first is divided by."""


CHECKS: Sequence[Check] = (
    Check("GatewayDown", "critical", "No gateway answers", "up|gateway", 1, 30, below=True),
    Check("BackendDown", "critical", "No backend answers", "up|backend", 1, 30, below=True),
    Check("WorkerDown", "critical", "No worker answers", "up|worker", 1, 30, below=True),
    Check("StatusPageDown", "warning", "The status page does not answer", "up|status", 1, 30, below=True),
    Check("TaskWorkerDown", "critical", "No process works on background tasks", "dependency|tasks", 1, 60, below=True),
    Check("PostgresDown", "critical", "PostgreSQL does not answer", "dependency|database", 1, 30, below=True),
    Check("RedisDown", "critical", "Redis does not answer", "dependency|redis", 1, 30, below=True),
    Check("LimitsUnavailable", "critical", "Requests are refused because limits cannot be checked",
          "decisions|limits_unavailable", 0, 30),
    Check("GatewayOverloaded", "warning", "The gateway refuses requests because of load", "shed", 0, 120),
    Check("SpoolNotEmpty", "warning", "Usage waits on disk for Redis", "spool", 0, 120),
    Check("ProviderBreakerOpen", "warning", "A provider's circuit breaker is open", "open_breakers", 0, 60),
    Check("UsageBacklog", "warning", "Usage events pile up in Redis", "stream_entries", 100_000, 120),
    Check("OutboxStuck", "critical", "Messages of the outbox are not sent", "outbox_oldest", 60, 60),
    Check("TaskQueueLong", "warning", "Background tasks pile up", "queued_tasks", 1000, 300),
    Check("JobsWaitLong", "warning", "Jobs wait long for a worker", "jobs_oldest", 600, 300),
    Check("ModelsRefused", "warning", "Models find no process to work in", "models_refused", 0, 300),
    Check("DeadMessages", "warning", "Messages failed for good and wait for a person", "dead_messages", 0, 60),
    Check("BooksDiffer", "critical", "Usage, invoices and books do not agree", "differences", 0, 30),
    Check("PostgresConnectionsHigh", "warning", "PostgreSQL runs out of connections", "postgres_connections", 0.8, 120,
          divisor="postgres_limit"),
    Check("RedisMemoryHigh", "critical", "Redis runs out of memory", "redis_memory", 0.85, 120, divisor="redis_limit"),
    Check("RedisNotPersisting", "critical", "Redis cannot write to disk", "redis_persistence", 1, 120, below=True),
)  # fmt: skip
"""Those alerts of deploy/alerts.yaml that need no history, for a machine without Prometheus."""


def findings(series: Mapping[str, Slots], now: datetime, step: int = ROUND_SECONDS) -> list[Alert]:
    """What is wrong at the newest read slots, the worst first."""
    alerts = []
    for check in CHECKS:
        since = _wrong_since(check, series, now, step)
        if since is not None:
            alerts.append(Alert(check.alert, check.severity, check.summary, since))
    return sort_alerts(alerts)


def sort_alerts(alerts: Iterable[Alert]) -> list[Alert]:
    order: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}
    return sorted(alerts, key=lambda alert: (order[alert.severity], alert.since, alert.name))


def _wrong_since(check: Check, series: Mapping[str, Slots], now: datetime, step: int) -> datetime | None:
    slots = series.get(check.series, {})
    divisors = series.get(check.divisor, {})
    since: int | None = None
    for at in sorted(slots, reverse=True):
        follows = (since if since is not None else now.timestamp()) - at <= MOST_MISSED * step
        if not follows or not _is_wrong(check, slots[at], divisors.get(at)):
            break
        since = at
    if since is None or now.timestamp() - since < check.seconds:
        return None
    return datetime.fromtimestamp(since, UTC)


def _is_wrong(check: Check, cell: Cell, divisor: Cell | None) -> bool:
    if check.below:
        return cell.largest < check.limit
    if not check.divisor:
        return cell.smallest > check.limit
    return divisor is not None and divisor.largest > 0 and cell.smallest / divisor.largest > check.limit
