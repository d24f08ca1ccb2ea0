"""Dashboards of what is asked for and answered: overview, gateway, providers, tenancy and limits."""

from __future__ import annotations

from tools.observability.dashboards.model import (
    CONSOLE,
    GATEWAY,
    HTTP,
    Dashboard,
    Panel,
    Query,
    Row,
    heat,
    increase,
    mean,
    one,
    percentiles,
    quantile,
    rate,
    share,
)

COUNT = f"{HTTP}_count"
STATUS, ROUTE = "http_response_status_code", "http_route"
SERVER_ERROR = f'{GATEWAY}, {STATUS}=~"5.."'
GEN_AI = "gen_ai_client_inference"
OPERATION, NAME = "gen_ai_operation_name", "gen_ai_provider_name"
TAKEN_IN = '"admitted|admitted_locally"'

REQUESTS = Panel(
    "Requests", "Requests that the gateway answered, per second.", "reqps", one(rate(COUNT, GATEWAY), "requests"),
    kind="stat", width=4, alerts=("GatewayDown",),
)  # fmt: skip
ERRORS = Panel(
    "Errors", "Share of the gateway's answers that are 5xx. The promise is below 0.1 %.", "percentunit",
    one(share(rate(COUNT, SERVER_ERROR), rate(COUNT, GATEWAY)), "5xx"), kind="stat", width=4,
    thresholds=(0.001, 0.01), alerts=("AvailabilityBudgetBurn",),
)  # fmt: skip
SLOWEST = Panel(
    "p95", "Time within which 95 % of the gateway's answers are complete. Long streams count in full.", "s",
    one(quantile(0.95, HTTP, GATEWAY), "p95"), kind="stat", width=4, alerts=("LatencyBudgetBurn",),
)  # fmt: skip

OVERVIEW = Dashboard(
    "overview", "Overview", "Is the platform well? Start here; each panel's dashboard says more.",
    (
        Row("Now", (
            REQUESTS, ERRORS, SLOWEST,
            Panel("Processes up", "Processes that Prometheus reaches.", "short", one("sum(up)", "up"), kind="stat",
                  width=4, alerts=("GatewayDown", "BackendDown", "ConsoleDown", "WorkerDown", "StatusPageDown")),
            Panel("Usage waiting", "Usage events in Redis that are not in PostgreSQL yet.", "short",
                  one("sum(omni_usage_stream_entries)", "events"), kind="stat", width=4, thresholds=(10_000, 100_000),
                  alerts=("UsageBacklog", "UsageDrainStopped")),
            Panel("Books that differ", "Differences that the last comparison of invoices, payments and books found.",
                  "short", one("max(omni_verification_differences)", "differences"), kind="stat", width=4,
                  thresholds=(1,), alerts=("BooksDiffer",)),
        )),
        Row("Traffic", (
            Panel("Requests by status", "Answers of the gateway per second, by status.", "reqps",
                  one(rate(COUNT, GATEWAY, STATUS), f"{{{{{STATUS}}}}}"), stacked=True),
            Panel("Latency of the gateway", "From the first byte of the head to the last byte of the answer.", "s",
                  percentiles(HTTP, GATEWAY)),
            Panel("Tokens", "Tokens that models read and wrote, per second, by meter.", "short",
                  one(rate("omni_tokens_total", by="meter"), "{{meter}}"), stacked=True),
        )),
        Row("What the platform stands on", (
            Panel("Dependencies", "1 when what a process needs answered its last check.", "bool_yes_no",
                  one("min by (process, dependency) (omni_dependency_up)", "{{process}} {{dependency}}"),
                  kind="bargauge", thresholds=(1,), low_is_bad=True,
                  alerts=("PostgresDown", "RedisDown", "TaskWorkerDown")),
            Panel("Running versions", "What each process says that it is. One that is missing is not scraped.", "none",
                  one("count by (process, version) (omni_build_info)", "processes"), kind="table",
                  alerts=("TargetMissing",)),
            Panel("Tenants at work", "Tenants with live usage within 24 hours.", "short",
                  one("max(omni_active_tenants)", "tenants")),
        )),
    ),
)  # fmt: skip

GATEWAY_BOARD = Dashboard(
    "gateway", "Gateway", "The public API: what is asked for, how fast, what is refused, where it waits.",
    (
        Row("Now", (
            REQUESTS, ERRORS, SLOWEST,
            Panel("Open requests", "Requests being served now.", "short", one("sum(omni_gateway_open_requests)",
                  "open"), kind="stat", width=4),
            Panel("Open streams", "Model streams and realtime sessions being relayed now.", "short",
                  one("sum(omni_gateway_open_streams)", "open"), kind="stat", width=4),
            Panel("Spool", "Usage events on disk that Redis has not acknowledged. Above 0: Redis is away.", "short",
                  one("sum(omni_gateway_spool_events)", "events"), kind="stat", width=4, thresholds=(1, 10_000),
                  alerts=("SpoolNotEmpty",)),
        )),
        Row("Answers", (
            Panel("Requests by route", "The ten busiest routes, per second.", "reqps",
                  one(f"topk(10, {rate(COUNT, GATEWAY, ROUTE)})", f"{{{{{ROUTE}}}}}")),
            Panel("Errors by route", "Answers with 5xx, per second, by route and status.", "reqps",
                  one(rate(COUNT, SERVER_ERROR, f"{ROUTE}, {STATUS}"), f"{{{{{ROUTE}}}}} {{{{{STATUS}}}}}"),
                  alerts=("AvailabilityBudgetBurn",)),
            Panel("Refused by status", "Answers with 4xx, per second: 401 = keys, 402 and 429 = limits.", "reqps",
                  one(rate(COUNT, f'{GATEWAY}, {STATUS}=~"4.."', STATUS), f"{{{{{STATUS}}}}}"),
                  alerts=("ManyUnauthenticated", "ManyLimited")),
            Panel("Latency", "Percentiles over all routes. Dots are traces: open one to see where its time went.", "s",
                  percentiles(HTTP, GATEWAY)),
            Panel("p95 by route", "The ten slowest routes.", "s",
                  one(f"topk(10, {quantile(0.95, HTTP, GATEWAY, ROUTE)})", f"{{{{{ROUTE}}}}}")),
            Panel("Durations", "How many requests took how long.", "s", heat(HTTP, GATEWAY), kind="heatmap"),
            Panel("Kept traces", "Of failed and slow requests and tasks, per second. Dropped: there were too many, or "
                  "Redis did not take them.", "ops",
                  one(rate("omni_slow_traces_total", by="outcome"), "{{outcome}}")),
        )),
        Row("Where it waits", (
            Panel("Places at the engines", "Requests being served, and how many may be at the engines.", "short", (
                Query("sum(omni_gateway_open_requests)", "open"),
                Query("sum(omni_gateway_engine_limit)", "places at the engines"),
            ), alerts=("GatewayOverloaded",)),
            Panel("Shed", "Requests refused because of overload, per second, by class.", "reqps",
                  one(rate("omni_gateway_shed_total", by="priority"), "{{priority}}"), alerts=("GatewayOverloaded",)),
            Panel("Batches written to Redis", "Per second. It grows slower than requests: batches get larger.", "ops",
                  one(rate("omni_redis_round_trips_total"), "batches")),
        )),
        Row("Cache and policies", (
            Panel("Response cache", "Look-ups per second, by outcome.", "ops",
                  one(rate("omni_response_cache_total", by="outcome"), "{{outcome}}"), stacked=True),
            Panel("Share of hits", "Hits of the response cache among look-ups that could hit.", "percentunit",
                  one(share(rate("omni_response_cache_total", 'outcome=~"exact|semantic"'),
                            rate("omni_response_cache_total", 'outcome!="bypass"')), "hits")),
            Panel("Policies", "What policies did to requests and answers, per second.", "ops",
                  one(rate("omni_policy_decisions_total", by="policy, decision"), "{{policy}} {{decision}}")),
        )),
    ),
)  # fmt: skip

PROVIDERS = Dashboard(
    "providers", "Providers", "Models behind the gateway: who fails or is slow, and what the router did about it.",
    (
        Row("Now", (
            Panel("Calls", "Calls to providers, per second.", "reqps", one(rate("omni_provider_calls_total"), "calls"),
                  kind="stat", width=6),
            Panel("Failing", "Share of calls that a provider did not serve.", "percentunit",
                  one(share(rate("omni_provider_failures_total"), rate("omni_provider_calls_total")), "failed"),
                  kind="stat", width=6, thresholds=(0.05, 0.5), alerts=("ProviderFailing",)),
            Panel("Open breakers", "Targets that are not asked just now because they failed.", "short",
                  one("sum(omni_provider_open_breakers)", "targets"), kind="stat", width=6, thresholds=(1,),
                  alerts=("ProviderBreakerOpen",)),
            Panel("Time to first token, p95", "Time until a provider began to answer.", "s",
                  one(quantile(0.95, f"{GEN_AI}_time_to_first_chunk_seconds"), "p95"), kind="stat", width=6,
                  thresholds=(5, 10), alerts=("TimeToFirstTokenHigh",)),
        )),
        Row("By provider", (
            Panel("Calls by provider", "Per second.", "reqps",
                  one(rate("omni_provider_calls_total", by="provider"), "{{provider}}"), stacked=True),
            Panel("Failures by provider", "Share of the calls to each provider that it did not serve.", "percentunit",
                  one(share(rate("omni_provider_failures_total", by="provider"),
                            rate("omni_provider_calls_total", by="provider")), "{{provider}}"),
                  thresholds=(0.5,), alerts=("ProviderFailing",)),
            Panel("Errors by kind", "Calls that ended with an error, per second.", "reqps",
                  one(rate(f"{GEN_AI}_duration_seconds_count", 'error_type!=""', f"{NAME}, error_type"),
                      f"{{{{{NAME}}}}} {{{{error_type}}}}")),
            Panel("Duration by provider, p95", "To the last byte of the answer.", "s",
                  one(quantile(0.95, f"{GEN_AI}_duration_seconds", by=NAME), f"{{{{{NAME}}}}}")),
            Panel("Duration by operation, mean", "Chat, embeddings, images and so on.", "s",
                  one(mean(f"{GEN_AI}_duration_seconds", by=OPERATION), f"{{{{{OPERATION}}}}}")),
            Panel("Time to first token", "Percentiles over all providers.", "s",
                  percentiles(f"{GEN_AI}_time_to_first_chunk_seconds"), alerts=("TimeToFirstTokenHigh",)),
        )),
        Row("Routing", (
            Panel("Second calls", "Retries after a failure and hedges after silence, per second.", "reqps", (
                Query(rate("omni_provider_retries_total"), "retries"),
                Query(rate("omni_provider_hedges_total"), "hedges"),
            ), alerts=("ProviderRetriesHigh",)),
            Panel("Shadow copies", "Copies that nobody waits for, per second, by outcome.", "reqps",
                  one(rate("omni_shadow_calls_total", by="outcome"), "{{outcome}}")),
            Panel("Open breakers", "Targets that are not asked just now.", "short",
                  one("sum by (instance) (omni_provider_open_breakers)", "{{instance}}"),
                  alerts=("ProviderBreakerOpen",)),
        )),
        Row("Tokens", (
            Panel("Tokens read", "As billed, per second, by provider.", "short",
                  one(rate(f"{GEN_AI}_usage_input_tokens_total", by=NAME), f"{{{{{NAME}}}}}"), stacked=True, width=12),
            Panel("Tokens written", "As billed, per second, by provider.", "short",
                  one(rate(f"{GEN_AI}_usage_output_tokens_total", by=NAME), f"{{{{{NAME}}}}}"), stacked=True, width=12),
        )),
    ),
)  # fmt: skip

TENANCY = Dashboard(
    "tenancy", "Tenancy and limits", "Who is let in, at which limit others are refused, what is done in the console.",
    (
        Row("Admission", (
            Panel("Let in", "Share of requests that admission let in.", "percentunit",
                  one(share(rate("omni_admit_decisions_total", f"decision=~{TAKEN_IN}"),
                            rate("omni_admit_decisions_total")), "let in"), kind="stat", width=6),
            Panel("Let in without Redis", "Requests admitted by what a gateway knew by itself, per second.", "reqps",
                  one(rate("omni_admit_decisions_total", 'decision="admitted_locally"'), "requests"), kind="stat",
                  width=6, thresholds=(0.05,), alerts=("LimitsUnavailable",)),
            Panel("Open reservations", "Requests that are reserved and not settled.", "short",
                  one("max(omni_holds_open)", "holds"), kind="stat", width=6),
            Panel("Tenants at work", "Tenants with live usage within 24 hours.", "short",
                  one("max(omni_active_tenants)", "tenants"), kind="stat", width=6),
            Panel("Decisions", "Decisions of admission, per second.", "reqps",
                  one(rate("omni_admit_decisions_total", by="decision"), "{{decision}}"), stacked=True, width=12),
            Panel("Refused by limit", "Refusals per second: rates, open requests, quotas, budgets, credit.",
                  "reqps", one(rate("omni_admit_decisions_total", f"decision!~{TAKEN_IN}", "decision"), "{{decision}}"),
                  width=12, alerts=("ManyLimited", "LimitsUnavailable")),
            Panel("Reservations that ran out", "Holds whose gateway did not settle them, per second.", "ops",
                  one(rate("omni_holds_reaped_total"), "reaped"), alerts=("HoldsExpiring",)),
            Panel("Without a valid key", "Share of requests that got 401.", "percentunit",
                  one(share(rate(COUNT, f'{GATEWAY}, {STATUS}="401"'), rate(COUNT, GATEWAY)), "401"),
                  thresholds=(0.5,), alerts=("ManyUnauthenticated",)),
            Panel("Over a limit", "Share of requests that got 429.", "percentunit",
                  one(share(rate(COUNT, f'{GATEWAY}, {STATUS}="429"'), rate(COUNT, GATEWAY)), "429"),
                  thresholds=(0.3,), alerts=("ManyLimited",)),
        )),
        Row("Console", (
            Panel("Requests by status", "Answers of the control plane, per second.", "reqps",
                  one(rate(COUNT, CONSOLE, STATUS), f"{{{{{STATUS}}}}}"), stacked=True, alerts=("ConsoleDown",)),
            Panel("Latency", "Answers of the control plane.", "s", percentiles(HTTP, CONSOLE)),
            Panel("Busiest routes", "How often each route was asked for in the interval.", "short",
                  one(f"topk(15, {increase(COUNT, CONSOLE, ROUTE)})", "requests"), kind="table"),
        )),
    ),
)  # fmt: skip

DASHBOARDS = (OVERVIEW, GATEWAY_BOARD, PROVIDERS, TENANCY)
