"""The gateway's metrics. No label names a tenant, key or path; what each request counts takes no lock."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from omni.contracts.routes import Provider
from omni.contracts.usage import TOKEN_METERS
from omni.telemetry import gen_ai
from omni.telemetry.tallies import Samples, Spread, Tally

# Buckets of OpenTelemetry's http.server.request.duration.
DURATION_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

DECISIONS = (
    ("admitted",), ("admitted_locally",), ("limits_unavailable",), ("rate_limit_exceeded",),
    ("concurrency_limit_exceeded",), ("quota_exceeded",), ("budget_exceeded",), ("credit_exhausted",),
)  # fmt: skip
PRIORITIES = (("interactive",), ("batch",))
SHADOW_OUTCOMES = (("answered",), ("failed",))
CACHE_OUTCOMES = (("exact",), ("semantic",), ("miss",), ("bypass",))
POLICY_DECISIONS = (
    ("personal_data", "redacted"), ("personal_data", "blocked"), ("prompt_injection", "blocked"),
    ("moderation", "blocked"), ("moderation", "failed"),
)  # fmt: skip


class Calls:
    """The calls of one operation at one provider."""

    __slots__ = ("_durations", "begun", "completed", "names", "tokens")

    def __init__(self, operation: str, provider: Provider, durations: Spread, begun: list[int]) -> None:
        self.names = gen_ai.operation_name(operation), gen_ai.provider_name(provider.kind, provider.code)
        self._durations = durations
        self.begun = begun
        """The count of calls to the provider."""
        self.completed = durations.one(*self.names, "")
        """The seconds of calls that came to their end."""
        self.tokens: dict[str, int] = {}
        """What was billed, by meter."""

    def failed(self, seconds: float, error_type: str) -> None:
        """Takes the seconds of a call that came to nothing, and why."""
        self._durations.observe(seconds, *self.names, error_type)

    def billed(self, quantities: Mapping[str, int]) -> None:
        tokens = self.tokens
        for meter, quantity in quantities.items():
            tokens[meter] = tokens.get(meter, 0) + quantity


class CallMetrics(Collector):
    """Calls to providers of models, by the names of OpenTelemetry's GenAI conventions."""

    def __init__(self, registry: CollectorRegistry, begun: Tally, failures: Tally) -> None:
        """Both count calls by provider, from 0 on."""
        self._begun = begun
        self._failures = failures
        first_byte = Spread(
            gen_ai.TIME_TO_FIRST_CHUNK,
            "Time until a provider began to answer.",
            (),
            gen_ai.SECONDS_BUCKETS,
            registry,
        )
        self.first_byte = first_byte.one()
        self._durations = Spread(
            gen_ai.CALL_DURATION,
            "Duration of calls to providers, to the last byte of the answer.",
            (*gen_ai.CALL_LABELS, "error_type"),
            gen_ai.SECONDS_BUCKETS,
            registry,
        )
        self._calls: dict[tuple[str, str, str], Calls] = {}
        registry.register(self)

    def of(self, operation: str, provider: Provider) -> Calls:
        """Where such calls are counted."""
        known = (operation, provider.kind, provider.code)
        calls = self._calls.get(known)
        if calls is None:
            begun = self._begun.expect(provider.code)
            self._failures.expect(provider.code)
            calls = self._calls[known] = Calls(operation, provider, self._durations, begun)
        return calls

    def collect(self) -> Iterator[Metric]:
        """Tokens, put together when they are asked for."""
        by_meter = CounterMetricFamily("omni_tokens", "Tokens, by meter.", labels=("meter",))
        read = CounterMetricFamily(
            gen_ai.INPUT_TOKENS, "Tokens of all kinds that models read, as billed.", labels=gen_ai.CALL_LABELS
        )
        written = CounterMetricFamily(
            gen_ai.OUTPUT_TOKENS, "Tokens of all kinds that models made, as billed.", labels=gen_ai.CALL_LABELS
        )
        totals: Counts[str] = Counts()
        inputs: Counts[tuple[str, str]] = Counts()
        outputs: Counts[tuple[str, str]] = Counts()
        for calls in self._calls.values():
            inputs[calls.names] += 0
            outputs[calls.names] += 0
            for meter, count in calls.tokens.items():
                if meter in TOKEN_METERS:
                    totals[meter] += count
                    (inputs if meter in gen_ai.INPUT_METERS else outputs)[calls.names] += count
        for meter, count in totals.items():
            by_meter.add_metric((meter,), count)
        for family, counts in ((read, inputs), (written, outputs)):
            for names, count in counts.items():
                family.add_metric(names, count)
        return iter((by_meter, read, written))


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
        self._requests: dict[tuple[str, int], Samples] = {}
        self.decisions = Tally("omni_admit_decisions", "Decisions of admission.", ("decision",), registry, DECISIONS)
        self.admitted = self.decisions.expect("admitted")
        self.spool_events = Gauge(
            "omni_gateway_spool_events", "Usage events on disk that Redis has not acknowledged.", registry=registry
        )
        self.open_requests = Gauge("omni_gateway_open_requests", "Requests being served.", registry=registry)
        self.engine_limit = Gauge(
            "omni_gateway_engine_limit", "Requests that may be with the platform's own engines.", registry=registry
        )
        self.shed = Tally(
            "omni_gateway_shed", "Requests refused because of overload.", ("priority",), registry, PRIORITIES
        )
        self.redis_round_trips = Tally("omni_redis_round_trips", "Batches of commands written to Redis.", (), registry)
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
        self.shadows = Tally(
            "omni_shadow_calls", "Shadow copies: answered or failed.", ("outcome",), registry, SHADOW_OUTCOMES
        )
        self.cache = Tally(
            "omni_response_cache",
            "Look-ups in the response cache: exact, semantic, miss or bypass.",
            ("outcome",),
            registry,
            CACHE_OUTCOMES,
        )
        self.policies = Tally(
            "omni_policy_decisions",
            "What policies did to requests and answers: redacted, blocked or failed.",
            ("policy", "decision"),
            registry,
            POLICY_DECISIONS,
        )
        self.calls = CallMetrics(registry, self.provider_calls, self.provider_failures)
        self.open_streams = Gauge(
            "omni_gateway_open_streams", "Model streams and realtime sessions being relayed.", registry=registry
        )
        self.open_breakers = Gauge(
            "omni_provider_open_breakers", "Targets whose circuit breaker is not closed.", registry=registry
        )

    def request_done(self, route_name: str, status: int, seconds: float, trace_id: str = "") -> None:
        """Counts one request; `route_name` is `METHOD template`, or empty where nothing matched. `trace_id` is given
        when its trace is exported."""
        samples = self._requests.get((route_name, status))
        if samples is None:
            method, _, template = route_name.partition(" ")
            samples = self._duration.one(method or "_OTHER", template, str(status))
            self._requests[route_name, status] = samples
        samples.add(seconds)
        if trace_id:
            method, _, template = route_name.partition(" ")
            self._duration.exemplify(seconds, trace_id, method or "_OTHER", template, str(status))
