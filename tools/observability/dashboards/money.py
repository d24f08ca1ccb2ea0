"""Dashboards of what is counted and charged: metering, billing and revenue, cost per request, SLOs."""

from __future__ import annotations

from typing import Any

from tools.observability import slo
from tools.observability.dashboards.model import Dashboard, Panel, Query, Row, heat, one, percentiles, quantile, rate

MONTH_SPEND, MONTH_COST = "max(omni_spend_nanos)", "max(omni_provider_cost_nanos)"
MONTH_REQUESTS = 'max(omni_usage_quantity{meter="requests"})'
MONTH_TOKENS = 'sum(max by (meter) (omni_usage_quantity{meter=~".+_tokens"}))'
DELAY = "omni_usage_drain_delay_seconds"
NANO = "1e9"
HITS = 'outcome=~"exact|semantic"'


def _hour(gauge: str, where: str = "") -> str:
    """What a figure of the month grew by in an hour; the first hour of a month counts as nothing."""
    return f"clamp_min(max(delta({gauge}{where}[1h])), 0)"


HOUR_REQUESTS = _hour("omni_usage_quantity", '{meter="requests"}')
CALLS = rate("gen_ai_client_inference_duration_seconds_count")

METERING = Dashboard(
    "metering", "Metering pipeline", "From a request to its usage in PostgreSQL: the gateway's spool, Redis, drain.",
    (
        Row("Now", (
            Panel("Spool", "Usage events on the gateways' disks that Redis has not acknowledged.", "short",
                  one("sum(omni_gateway_spool_events)", "events"), kind="stat", width=6, thresholds=(1, 10_000),
                  alerts=("SpoolNotEmpty",)),
            Panel("In Redis", "Usage events that wait for the drain.", "short",
                  one("sum(omni_usage_stream_entries)", "events"), kind="stat", width=6, thresholds=(10_000, 100_000),
                  alerts=("UsageBacklog", "UsageDrainStopped")),
            Panel("Delay, p99", "From admission to PostgreSQL. The promise is 60 seconds.", "s",
                  one(quantile(0.99, DELAY), "p99"), kind="stat", width=6, thresholds=(15, 60),
                  alerts=("MeteringFreshnessBudgetBurn",)),
            Panel("Age of the figures", "Since the worker last read what the dashboards show.", "s",
                  one("time() - max(omni_platform_read_timestamp_seconds)", "age"), kind="stat", width=6,
                  thresholds=(60, 120), alerts=("FiguresStale",)),
        )),
        Row("Drain", (
            Panel("Drained events", "Events moved to PostgreSQL, per second. Duplicates are harmless.",
                  "ops", one(rate("omni_usage_drained_events_total", by="outcome"), "{{outcome}}"),
                  alerts=("UsageRejected", "UsageDrainStopped")),
            Panel("Waiting", "Where events wait.", "short", (
                Query("sum(omni_gateway_spool_events)", "spool"), Query("sum(omni_usage_stream_entries)", "Redis"),
            ), alerts=("UsageBacklog",)),
            Panel("Delay", "From the request's admission to its usage event in PostgreSQL.", "s", percentiles(DELAY)),
            Panel("Delays", "How many events took how long.", "s", heat(DELAY), kind="heatmap"),
            Panel("Reservations", "Requests that are reserved and not settled.", "short",
                  one("max(omni_holds_open)", "open")),
            Panel("Reservations that ran out", "Settled by the worker because no gateway did, per second.", "ops",
                  one(rate("omni_holds_reaped_total"), "reaped"), alerts=("HoldsExpiring",)),
        )),
        Row("What is counted", (
            Panel("Usage of this month", "Live usage by meter, in the meter's unit.", "short",
                  one("max by (meter) (omni_usage_quantity)", "quantity"), kind="table"),
            Panel("Usage in an hour", "What each meter grew by within an hour.", "short",
                  one("clamp_min(max by (meter) (delta(omni_usage_quantity[1h])), 0)", "{{meter}}"), width=16),
        )),
    ),
)  # fmt: skip

BILLING = Dashboard(
    "billing", "Billing and revenue", "What was charged, invoiced and paid, and whether the books agree.",
    (
        Row("Now", (
            Panel("Charged this month", "What live requests were charged, in the price book's currency.", "short",
                  one(f"{MONTH_SPEND} / {NANO}", "charged"), kind="stat", width=6),
            Panel("Margin this month", "Share of what was charged that providers do not get.", "percentunit",
                  one(f"1 - {MONTH_COST} / ({MONTH_SPEND} > 0)", "margin"), kind="stat", width=6,
                  thresholds=(0, 0.1), low_is_bad=True),
            Panel("Overdue invoices", "Live invoices that are past due.", "short",
                  one("max(omni_invoices_overdue)", "invoices"), kind="stat", width=6, thresholds=(1,),
                  alerts=("InvoicesOverdue",)),
            Panel("Books that differ", "Differences that the last comparison found.", "short",
                  one("max(omni_verification_differences)", "differences"), kind="stat", width=6, thresholds=(1,),
                  alerts=("BooksDiffer",)),
        )),
        Row("Revenue", (
            Panel("Net revenue of this month", "Lines of final invoices, in hundredths of the currency.", "short",
                  one("max by (meter, currency) (omni_revenue_minor)", "minor units"), kind="table"),
            Panel("Charged and owed in an hour", "In the price book's currency.", "short", (
                Query(f"{_hour('omni_spend_nanos')} / {NANO}", "charged to tenants"),
                Query(f"{_hour('omni_provider_cost_nanos')} / {NANO}", "owed to providers"),
            )),
            Panel("Invoices", "Live invoices, by status.", "short",
                  one("max by (status) (omni_invoices)", "{{status}}"), kind="bargauge"),
        )),
        Row("Payments", (
            Panel("Payments of 30 days", "Begun in the last 30 days, by provider and status.", "short",
                  one("max by (provider, status) (omni_payments)", "payments"), kind="table",
                  alerts=("PaymentsFailing",)),
            Panel("Failed payments", "Share of the payments of 30 days that failed.", "percentunit",
                  one('sum by (provider) (omni_payments{status="failed"}) / sum by (provider) (omni_payments)',
                      "{{provider}}"), thresholds=(0.3,), alerts=("PaymentsFailing",)),
            Panel("Webhooks of 30 days", "Taken from payment providers. None from one in use: look there.", "short",
                  one("max by (provider) (omni_payment_webhooks)", "{{provider}}")),
        )),
        Row("Comparison", (
            Panel("Tenants compared", "In an hour, by outcome.", "short",
                  one("sum by (outcome) (increase(omni_verified_tenants_total[1h]))", "{{outcome}}"), width=12,
                  alerts=("InvoiceCorrectnessBudgetBurn",)),
            Panel("Since the last comparison", "It runs each hour.", "s",
                  one("time() - max(omni_verification_timestamp_seconds)", "age"), width=12, thresholds=(7200, 10800),
                  alerts=("BooksNotCompared",)),
        )),
    ),
)  # fmt: skip

COST = Dashboard(
    "cost", "Cost per request", "What a request earns, what it costs at providers, and how many tokens it takes.",
    (
        Row("This month", (
            Panel("Charged per request", "In the price book's currency.", "short",
                  one(f"{MONTH_SPEND} / {NANO} / ({MONTH_REQUESTS} > 0)", "charged"), kind="stat", width=6),
            Panel("Provider's cost per request", "In the price book's currency.", "short",
                  one(f"{MONTH_COST} / {NANO} / ({MONTH_REQUESTS} > 0)", "cost"), kind="stat", width=6),
            Panel("Earned per request", "Charged, less what providers get.", "short",
                  one(f"({MONTH_SPEND} - {MONTH_COST}) / {NANO} / ({MONTH_REQUESTS} > 0)", "earned"), kind="stat",
                  width=6, thresholds=(0,), low_is_bad=True),
            Panel("Tokens per request", "Of all kinds.", "short",
                  one(f"{MONTH_TOKENS} / ({MONTH_REQUESTS} > 0)", "tokens"), kind="stat", width=6),
        )),
        Row("By the hour", (
            Panel("Per request", "What the requests of an hour were charged and cost on average.", "short", (
                Query(f"{_hour('omni_spend_nanos')} / {NANO} / ({HOUR_REQUESTS} > 0)", "charged"),
                Query(f"{_hour('omni_provider_cost_nanos')} / {NANO} / ({HOUR_REQUESTS} > 0)", "provider's cost"),
            ), width=12),
            Panel("Requests", "Live requests in an hour.", "short", one(HOUR_REQUESTS, "requests"), width=12),
            Panel("Tokens per call", "That models read and wrote, for each call.", "short", (
                Query(f"{rate('gen_ai_client_inference_usage_input_tokens_total')} / {CALLS}", "read"),
                Query(f"{rate('gen_ai_client_inference_usage_output_tokens_total')} / {CALLS}", "written"),
            ), width=12),
            Panel("Saved by the response cache", "Requests answered from it, per second, at no provider's cost.",
                  "reqps", one(rate("omni_response_cache_total", HITS, "outcome"), "{{outcome}}"),
                  width=12),
        )),
    ),
)  # fmt: skip


def _slo_row(objective: dict[str, Any]) -> Row:
    """Budget left, burn and the ratio itself, of one SLO."""
    name, alert = objective["name"], (slo.alert_name(objective),)
    budget = f'max(slo:error_budget:ratio{{slo="{name}"}})'

    def ratio(window: str) -> str:
        return f'max(slo:error_ratio:rate{window}{{slo="{name}"}})'

    month = f'max(avg_over_time(slo:error_ratio:rate1h{{slo="{name}"}}[30d]))'
    return Row(f"{name}: {objective['summary']}, {objective['objective']:g} % in 30 days", (
        Panel("Budget left", "Of 30 days' errors, by the hourly ratio: 100 % = none, below 0 = promise broken.",
              "percentunit", one(f"1 - {month} / {budget}", "left"), kind="stat", width=6, thresholds=(0, 0.25),
              low_is_bad=True, alerts=alert),
        Panel("Burn", "How many times faster than allowed the budget goes. 14.4 in an hour wakes somebody.", "short",
              tuple(Query(f"{ratio(window)} / {budget}", window) for window in ("5m", "1h", "6h", "3d")), width=10,
              thresholds=(6, 14.4), alerts=alert),
        Panel("Error ratio", "Share of events that are not good, in five minutes and in a day.", "percentunit",
              (Query(ratio("5m"), "5m"), Query(ratio("1d"), "1d")), width=8, alerts=alert),
    ))  # fmt: skip


SLO = Dashboard(
    "slo", "SLO", "What deploy/slo.yaml promises, how much of each error budget is left, and how fast it goes.",
    tuple(_slo_row(each) for each in slo.objectives()),
)  # fmt: skip

DASHBOARDS = (METERING, BILLING, COST, SLO)
