"""Every metric of the processes other than the gateway's hot path, on one page.

Names and buckets follow the OpenTelemetry HTTP conventions. No label carries a tenant, a key, a user or a raw path.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
KNOWN_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


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

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in KNOWN_METHODS else "_OTHER"
        self._duration.labels(known, route, str(status)).observe(seconds)


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


class TaskMetrics:
    """Background tasks, by name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "omni_task_duration_seconds", "Duration of background tasks.", ("task", "outcome"), registry=registry
        )
