"""The gateway's metrics. No label names a tenant, key or path; label children are bound once."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Buckets of OpenTelemetry's http.server.request.duration.
DURATION_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class GatewayMetrics:
    """Metric objects of one gateway process, registered in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._duration = Histogram(
            "http_server_request_duration_seconds",
            "Duration of requests, from the first byte of the head to the last byte of the answer.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=DURATION_BUCKETS_SECONDS,
            registry=registry,
        )
        self._decisions = Counter("omni_admit_decisions", "Decisions of admission.", ("decision",), registry=registry)
        self.spool_events = Gauge(
            "omni_gateway_spool_events", "Usage events on disk that Redis has not acknowledged.", registry=registry
        )
        self.open_requests = Gauge("omni_gateway_open_requests", "Requests being served.", registry=registry)
        self.redis_round_trips = Counter(
            "omni_redis_round_trips", "Batches of commands written to Redis.", registry=registry
        )
        self._duration_children: dict[tuple[str, int], Histogram] = {}
        self._decision_children: dict[str, Counter] = {}

    def request_done(self, route_name: str, status: int, seconds: float) -> None:
        """Counts one request; `route_name` is `METHOD template`, or empty where nothing matched."""
        child = self._duration_children.get((route_name, status))
        if child is None:
            method, _, template = route_name.partition(" ")
            child = self._duration.labels(method or "_OTHER", template, str(status))
            self._duration_children[route_name, status] = child
        child.observe(seconds)

    def decided(self, decision: str) -> None:
        """Counts one decision of admission."""
        child = self._decision_children.get(decision)
        if child is None:
            child = self._decision_children[decision] = self._decisions.labels(decision)
        child.inc()
