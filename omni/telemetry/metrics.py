"""Every metric of the processes other than the gateway's hot path, on one page; those of models are on
one of their own, `inference_metrics`.

Names and buckets follow the OpenTelemetry HTTP conventions. No label carries a tenant, a key, a user or a raw path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from omni.telemetry.finished import KNOWN_METHODS
from omni.telemetry.inference_metrics import JobMetrics
from omni.telemetry.tallies import Spread

HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
DB_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
DELAY_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)

Figures = Mapping[tuple[str, ...], float]
"""One metric: values by the values of its labels."""


class HttpMetrics:
    """Requests of an HTTP server, by method, route template and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "http_server_request_duration_seconds",
            "Duration of HTTP requests, by route template.",
            ("http_request_method", "http_route", "http_response_status_code"),
            registry=registry,
            buckets=HTTP_BUCKETS,
        )

    def observe(self, method: str, route: str, status: int, seconds: float, trace_id: str = "") -> None:
        """`trace_id` of a trace that is exported becomes the bucket's exemplar."""
        known = method if method in KNOWN_METHODS else "_OTHER"
        exemplar = {"trace_id": trace_id} if trace_id else None
        self._duration.labels(known, route, str(status)).observe(seconds, exemplar)


class DatabaseMetrics:
    """Statements and connections of the process's pools, by OpenTelemetry's database conventions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "db_client_operation_duration_seconds",
            "Duration of statements, by their first word.",
            ("db_operation_name",),
            registry=registry,
            buckets=DB_BUCKETS,
        )
        self.errors = Counter(
            "omni_db_errors", "Statements that the database refused or did not answer.", registry=registry
        )
        self.connections = Gauge(
            "db_client_connection_count",
            "Connections of the process's pools, by state: used or idle.",
            ("db_client_connection_pool_name", "db_client_connection_state"),
            registry=registry,
        )
        self.most_connections = Gauge(
            "db_client_connection_max",
            "Connections that a pool may have.",
            ("db_client_connection_pool_name",),
            registry=registry,
        )


class EngineMetrics:
    """The pool in which engines work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "omni_engine_job_duration_seconds", "Work of an engine.", ("engine",), registry=registry,
            buckets=HTTP_BUCKETS,
        )  # fmt: skip
        self.wait = Histogram(
            "omni_engine_wait_seconds", "Time that jobs waited for a thread.", registry=registry, buckets=HTTP_BUCKETS
        )
        self.jobs = Gauge("omni_engine_jobs", "Jobs waiting or at work.", registry=registry)
        self.oldest = Gauge(
            "omni_engine_oldest_job_seconds", "How long the job has waited that waits longest.", registry=registry
        )
        self.limit = Gauge("omni_engine_jobs_limit", "Jobs that may wait or be at work.", registry=registry)
        self.refused = Counter("omni_engine_refused", "Jobs refused because the queue was full.", registry=registry)


class SlowTraceMetrics:
    """Traces that failed or were slow, on their way to the operator's store."""

    NAME = "omni_slow_traces"
    TEXT = "Parts of failed or slow traces: kept, or dropped because there were too many or Redis did not take them."

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter(self.NAME, self.TEXT, ("outcome",), registry=registry)
        self.kept = counter.labels("kept")
        self.dropped = counter.labels("dropped")


class HealthMetrics(Collector):
    """Whether each thing that the process needs is there, as its readiness says."""

    def __init__(self, findings: Callable[[], Mapping[str, bool]], registry: CollectorRegistry) -> None:
        self._findings = findings
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "omni_dependency_up", "1 when what the process needs answered its last check.", labels=("dependency",)
        )
        for name, good in self._findings().items():
            family.add_metric((name,), float(good))
        yield family


class WorkerMetrics:
    """Relay, drain, schedules and reconciler."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.drained_events = Counter(
            "omni_usage_drained_events", "Usage events moved from Redis to PostgreSQL.", ("outcome",), registry=registry
        )
        self.drain_lag = Gauge("omni_usage_stream_entries", "Usage events waiting in Redis.", registry=registry)
        self.relayed_messages = Counter(
            "omni_outbox_relayed_messages", "Outbox messages handed to the task queue.", registry=registry
        )
        self.outbox_age = Gauge(
            "omni_outbox_oldest_seconds", "Age of the oldest message waiting in the outbox.", registry=registry
        )
        self.reaped_holds = Counter(
            "omni_holds_reaped", "Holds whose lease ran out and that were settled by the worker.", registry=registry
        )
        self.loop_failures = Counter(
            "omni_worker_loop_failures",
            "Rounds of a worker loop that failed and will be tried again.",
            ("loop",),
            registry=registry,
        )
        self.drain_delay = Spread(
            "omni_usage_drain_delay_seconds",
            "From the request's admission to its usage event in PostgreSQL.",
            (),
            DELAY_BUCKETS,
            registry,
        )
        self.outbox_messages = Gauge("omni_outbox_messages", "Messages waiting in the outbox.", registry=registry)
        self.dead_messages = Gauge(
            "omni_dead_messages", "Messages that failed for good and wait for a person.", registry=registry
        )
        self.queued_tasks = Gauge("omni_task_queue_messages", "Tasks waiting in the broker.", registry=registry)
        self.open_holds = Gauge("omni_holds_open", "Reservations of requests that are not settled.", registry=registry)


class PlatformMetrics(Collector):
    """What the worker reads from PostgreSQL and Redis every few seconds: the state of both, and of the business."""

    GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
        "omni_platform_read_timestamp_seconds": ("When these figures were read, Unix time.", ()),
        "omni_active_tenants": ("Tenants with live usage within 24 hours.", ()),
        "omni_usage_quantity": ("Live usage of this month, in the meter's unit.", ("meter",)),
        "omni_spend_nanos": ("What live requests of this month were charged, nano-units.", ()),
        "omni_provider_cost_nanos": ("What providers charge for this month's live requests, nano-units.", ()),
        "omni_revenue_minor": ("Net of this month's final invoice lines, minor units.", ("meter", "currency")),
        "omni_invoices": ("Live invoices, by status.", ("status",)),
        "omni_invoices_overdue": ("Live invoices that are past due.", ()),
        "omni_payments": ("Payments begun in the last 30 days.", ("provider", "status")),
        "omni_payment_webhooks": ("Webhooks of payment providers taken in the last 30 days.", ("provider",)),
        "omni_jobs_waiting": ("Jobs that wait for a worker, also between two slices.", ("kind",)),
        "omni_jobs_working": ("Jobs that a worker is at.", ("kind",)),
        "omni_jobs_oldest_seconds": ("How long the job has waited that waits longest.", ("kind",)),
        "omni_postgres_connections": ("Connections to the database.", ()),
        "omni_postgres_connections_limit": ("Connections that the server allows.", ()),
        "omni_postgres_size_bytes": ("Size of the database.", ()),
        "omni_postgres_dead_rows": ("Row versions that wait for vacuum.", ()),
        "omni_postgres_oldest_xid_age": ("Transactions since the oldest that is not frozen.", ()),
        "omni_redis_memory_bytes": ("Memory that Redis uses.", ()),
        "omni_redis_memory_limit_bytes": ("Memory that Redis may use; 0 = as much as there is.", ()),
        "omni_redis_clients": ("Connections to Redis.", ()),
        "omni_redis_persistence_ok": ("1 when the last write to disk went well.", ()),
    }
    COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
        "omni_postgres_commits": ("Transactions committed.", ()),
        "omni_postgres_rollbacks": ("Transactions rolled back.", ()),
        "omni_postgres_deadlocks": ("Deadlocks.", ()),
        "omni_postgres_blocks_hit": ("Blocks found in shared buffers.", ()),
        "omni_postgres_blocks_read": ("Blocks read from outside of shared buffers.", ()),
        "omni_redis_commands": ("Commands that Redis has worked on.", ()),
        "omni_redis_evicted_keys": ("Keys that Redis threw out for want of memory.", ()),
        "omni_redis_keyspace_hits": ("Look-ups that found their key.", ()),
        "omni_redis_keyspace_misses": ("Look-ups that found nothing.", ()),
    }

    def __init__(self, registry: CollectorRegistry) -> None:
        self._figures: dict[str, Figures] = {}
        self.verified = Counter(
            "omni_verified_tenants",
            "Tenants whose usage, invoices and books were compared: ok or different.",
            ("outcome",),
            registry=registry,
        )
        for outcome in ("ok", "different"):
            self.verified.labels(outcome)
        self.differences = Gauge(
            "omni_verification_differences", "Differences that the last comparison found.", registry=registry
        )
        self.verified_at = Gauge("omni_verification_timestamp_seconds", "When it ended, Unix time.", registry=registry)
        registry.register(self)

    def put(self, figures: Mapping[str, Figures]) -> None:
        """Takes the place of what was read before under the same names."""
        unknown = figures.keys() - self.GAUGES.keys() - self.COUNTERS.keys()
        if unknown:
            raise ValueError(f"no such metric: {', '.join(sorted(unknown))}")
        self._figures |= figures

    def collect(self) -> Iterator[Metric]:
        for name, values in dict(self._figures).items():
            family: GaugeMetricFamily | CounterMetricFamily
            if name in self.GAUGES:
                documentation, labels = self.GAUGES[name]
                family = GaugeMetricFamily(name, documentation, labels=labels)
            else:
                documentation, labels = self.COUNTERS[name]
                family = CounterMetricFamily(name, documentation, labels=labels)
            for label_values, value in values.items():
                family.add_metric(label_values, value)
            yield family


class TaskMetrics:
    """Background tasks: how long they take, by name, and what they do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "omni_task_duration_seconds", "Duration of background tasks.", ("task", "outcome"), registry=registry
        )
        self.swept_objects = Counter(
            "omni_objects_swept", "Objects of the store that no row named, deleted.", registry=registry
        )
        self.jobs = JobMetrics(registry)
