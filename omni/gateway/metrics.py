"""The gateway's metrics. No label names a tenant, key or path; label children are bound once."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Buckets of OpenTelemetry's http.server.request.duration.
DURATION_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

# Buckets of the GenAI conventions for durations.
_TOKEN_BUCKETS_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


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
        self.provider_retries = Counter(
            "omni_provider_retries", "Second calls to a target that failed.", registry=registry
        )
        self.provider_hedges = Counter(
            "omni_provider_hedges", "Second targets asked because the first kept silent.", registry=registry
        )
        self._provider_calls = Counter("omni_provider_calls", "Calls to providers.", ("provider",), registry=registry)
        self._provider_failures = Counter(
            "omni_provider_failures", "Calls that a provider did not serve.", ("provider",), registry=registry
        )
        self._shadows = Counter("omni_shadow_calls", "Shadow copies.", ("outcome",), registry=registry)
        self._cache = Counter("omni_response_cache", "Look-ups in the response cache.", ("outcome",), registry=registry)
        self._policies = Counter(
            "omni_policy_decisions",
            "What policies did to requests and answers.",
            ("policy", "decision"),
            registry=registry,
        )
        self.first_byte = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Time until a provider began to answer.",
            buckets=_TOKEN_BUCKETS_SECONDS,
            registry=registry,
        )
        self._tokens = Counter("omni_tokens", "Tokens, by meter.", ("meter",), registry=registry)
        self.open_streams = Gauge("omni_gateway_open_streams", "Model streams being relayed.", registry=registry)
        self.breaker_state = Gauge(
            "omni_provider_open_breakers", "Targets whose circuit breaker is not closed.", registry=registry
        )
        self._children: dict[tuple[str, str], Counter] = {}
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

    def provider_call(self, provider: str) -> None:
        """Counts one call to a provider."""
        self._child("calls", self._provider_calls, provider).inc()

    def provider_failed(self, provider: str) -> None:
        """Counts one call that a provider did not serve."""
        self._child("failures", self._provider_failures, provider).inc()

    def shadow(self, outcome: str) -> None:
        """Counts one shadow copy: `answered` or `failed`."""
        self._child("shadows", self._shadows, outcome).inc()

    def cache(self, outcome: str) -> None:
        """Counts one look-up in the response cache: `exact`, `semantic`, `miss` or `bypass`."""
        self._child("cache", self._cache, outcome).inc()

    def policy(self, policy: str, decision: str) -> None:
        """Counts one decision of a policy: `redacted`, `blocked` or `failed`."""
        self._policies.labels(policy, decision).inc()

    def tokens(self, quantities: dict[str, int]) -> None:
        """Counts the tokens of a request, as they are billed."""
        for meter, quantity in quantities.items():
            if meter.endswith("_tokens"):
                self._child("tokens", self._tokens, meter).inc(quantity)

    def _child(self, family: str, metric: Counter, label: str) -> Counter:
        child = self._children.get((family, label))
        if child is None:
            child = self._children[family, label] = metric.labels(label)
        return child
