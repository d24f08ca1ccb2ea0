"""The gateway's metrics. No label names a tenant, key or path; what each request counts takes no lock."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from omni.contracts.usage import TOKEN_METERS
from omni.telemetry.tallies import Spread, Tally

# Buckets of OpenTelemetry's http.server.request.duration.
DURATION_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

# Buckets of the GenAI conventions for durations.
_TOKEN_BUCKETS_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


class GatewayMetrics:
    """Metric objects of one gateway process, registered in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._duration = Spread(
            "http_server_request_duration_seconds",
            "Duration of requests, from the first byte of the head to the last byte of the answer.",
            ("http_request_method", "http_route", "http_response_status_code"),
            DURATION_BUCKETS_SECONDS,
            registry,
        )
        self._statuses: dict[int, str] = {}
        self._routes: dict[str, tuple[str, str]] = {}
        self.decisions = Tally("omni_admit_decisions", "Decisions of admission.", ("decision",), registry)
        self.spool_events = Gauge(
            "omni_gateway_spool_events", "Usage events on disk that Redis has not acknowledged.", registry=registry
        )
        self.open_requests = Gauge("omni_gateway_open_requests", "Requests being served.", registry=registry)
        self.engine_limit = Gauge(
            "omni_gateway_engine_limit", "Requests that may be with the platform's own engines.", registry=registry
        )
        self.shed = Tally("omni_gateway_shed", "Requests refused because of overload.", ("priority",), registry)
        self.redis_round_trips = Counter(
            "omni_redis_round_trips", "Batches of commands written to Redis.", registry=registry
        )
        self.provider_retries = Counter(
            "omni_provider_retries", "Second calls to a target that failed.", registry=registry
        )
        self.provider_hedges = Counter(
            "omni_provider_hedges", "Second targets asked because the first kept silent.", registry=registry
        )
        self.provider_calls = Tally("omni_provider_calls", "Calls to providers.", ("provider",), registry)
        self.provider_failures = Tally(
            "omni_provider_failures", "Calls that a provider did not serve.", ("provider",), registry
        )
        self.shadows = Tally("omni_shadow_calls", "Shadow copies: answered or failed.", ("outcome",), registry)
        self.cache = Tally(
            "omni_response_cache",
            "Look-ups in the response cache: exact, semantic, miss or bypass.",
            ("outcome",),
            registry,
        )
        self.policies = Tally(
            "omni_policy_decisions",
            "What policies did to requests and answers: redacted, blocked or failed.",
            ("policy", "decision"),
            registry,
        )
        self.first_byte = Spread(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Time until a provider began to answer.",
            (),
            _TOKEN_BUCKETS_SECONDS,
            registry,
        )
        self._tokens = Tally("omni_tokens", "Tokens, by meter.", ("meter",), registry)
        self.open_streams = Gauge(
            "omni_gateway_open_streams", "Model streams and realtime sessions being relayed.", registry=registry
        )
        self.open_breakers = Gauge(
            "omni_provider_open_breakers", "Targets whose circuit breaker is not closed.", registry=registry
        )

    def request_done(self, route_name: str, status: int, seconds: float) -> None:
        """Counts one request; `route_name` is `METHOD template`, or empty where nothing matched."""
        route = self._routes.get(route_name)
        if route is None:
            method, _, template = route_name.partition(" ")
            route = self._routes[route_name] = (method or "_OTHER", template)
        text = self._statuses.get(status)
        if text is None:
            text = self._statuses[status] = str(status)
        self._duration.observe(seconds, route[0], route[1], text)

    def tokens(self, quantities: dict[str, int]) -> None:
        """Counts the tokens of a request, as they are billed."""
        for meter, quantity in quantities.items():
            if meter in TOKEN_METERS:
                self._tokens.add(meter, count=quantity)
