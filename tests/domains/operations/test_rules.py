"""Growth, quantiles, charts and findings of the operations page."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import pytest
import yaml

from omni.domains.operations import rules
from omni.domains.operations.contracts import SPANS, Cell, Slots, Target
from omni.domains.operations.rules import CHARTS, CHECKS, COVERED, Check, Readings, Sample, draw, findings, quantile

ROOT = Path(__file__).parents[3]
GATEWAY, OTHER = Target("gateway", "127.0.0.1:1"), Target("gateway", "127.0.0.1:2")
NOW = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)


def requests(status: str, value: float, route: str = "/v1/models") -> Sample:
    return Sample(f"{rules.DURATION}_count", {"http_route": route, "http_response_status_code": status}, value)


def same(value: float) -> Cell:
    return Cell(value, 1, value, value)


def steady(value: float, seconds: int = 600, step: int = rules.ROUND_SECONDS) -> Slots:
    """The same value in each slot up to now."""
    end = int(NOW.timestamp()) // step * step
    return {end - back: same(value) for back in range(0, seconds + step, step)}


def test_counters_grow_by_what_was_added_over_labels_and_replicas() -> None:
    readings = Readings()
    first = {GATEWAY: [requests("200", 5), requests("204", 1)], OTHER: [requests("200", 100)]}
    assert readings.take(first, 0.0) == {"up|gateway": 2.0}
    second = {GATEWAY: [requests("200", 7), requests("204", 1), requests("503", 2)], OTHER: [requests("200", 101)]}
    assert readings.take(second, 15.0) == {COVERED: 15.0, "up|gateway": 2.0, "requests|2xx": 3.0, "requests|5xx": 2.0}


def test_a_process_that_started_anew_counts_from_zero_and_one_that_is_new_not_at_all() -> None:
    readings = Readings()
    readings.take({GATEWAY: [requests("200", 50)]}, 0.0)
    assert readings.take({GATEWAY: [requests("200", 3)]}, 15.0)["requests|2xx"] == 3.0
    found = readings.take({GATEWAY: [requests("200", 3)], OTHER: [requests("200", 900)]}, 30.0)
    assert found["requests|2xx"] == 0.0


def test_a_process_that_does_not_answer_is_down_and_what_it_did_meanwhile_is_counted_when_it_is_back() -> None:
    readings = Readings()
    readings.take({GATEWAY: [requests("200", 50)]}, 0.0)
    assert readings.take({GATEWAY: None}, 15.0) == {COVERED: 15.0, "up|gateway": 0.0}
    assert readings.take({GATEWAY: [requests("200", 60)]}, 30.0)["requests|2xx"] == 10.0


def test_gauges_of_replicas_become_one() -> None:
    backend = Target("backend", "127.0.0.1:3")
    found = Readings().take(
        {
            GATEWAY: [Sample("omni_gateway_open_requests", {}, 3), Sample("process_resident_memory_bytes", {}, 10)],
            OTHER: [Sample("omni_gateway_open_requests", {}, 4), Sample("process_resident_memory_bytes", {}, 20)],
            backend: [Sample("process_resident_memory_bytes", {}, float("nan"))],
        },
        0.0,
    )
    assert found == {"up|gateway": 2.0, "up|backend": 1.0, "open_requests": 7.0, "memory|gateway": 30.0}


def test_a_dependency_is_up_when_one_process_sees_it() -> None:
    down, up = (
        Sample("omni_dependency_up", {"dependency": "redis"}, 0.0),
        Sample("omni_dependency_up", {"dependency": "redis"}, 1.0),
    )
    assert Readings().take({GATEWAY: [down], OTHER: [up]}, 0.0)["dependency|redis"] == 1.0


@pytest.mark.parametrize(("status", "expected"), [("200", "2xx"), ("503", "5xx"), ("0", "other"), ("", "other")])
def test_status_classes(status: str, expected: str) -> None:
    assert rules.status_class(status) == expected


def test_quantiles_are_within_the_bucket_of_the_exact_one() -> None:
    chance = random.Random(7)
    bounds = [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, inf]
    for _ in range(200):
        values = sorted(chance.expovariate(4) for _ in range(chance.randint(1, 300)))
        buckets = {bound: float(sum(value <= bound for value in values)) for bound in bounds}
        for share in (0.5, 0.95, 0.99):
            exact = values[max(-(-int(share * 1000) * len(values) // 1000) - 1, 0)]
            upper = next(bound for bound in bounds if exact <= bound)
            lower = max((bound for bound in bounds if bound < exact), default=0.0)
            found = quantile(share, buckets)
            assert found is not None
            assert lower <= found <= min(upper, 5.0)


def test_a_quantile_of_nothing_is_not_known() -> None:
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {1.0: 0.0, inf: 0.0}) is None
    assert quantile(0.5, {inf: 3.0}) is None


def test_rates_are_per_second_that_was_read_and_gaps_stay_gaps() -> None:
    span = SPANS["1h"]
    end = int(NOW.timestamp()) // 60 * 60
    series: Mapping[str, Slots] = {
        COVERED: {end - 60: same(30.0), end: same(5.0)},
        "requests|2xx": {end - 60: same(60.0)},
        "requests|5xx": {end: same(10.0)},
    }
    rule = next(rule for rule in CHARTS if rule.code == "requests")
    chart = draw(rule, series, span, NOW)
    assert [line.name for line in chart.lines] == ["2xx", "5xx"]
    assert [line.values[-3:] for line in chart.lines] == [[None, 2.0, 0.0], [None, 0.0, 2.0]]
    assert len(chart.starts) == len(chart.lines[0].values) == 60
    assert chart.starts[-1] == datetime.fromtimestamp(end, UTC)


def test_levels_are_averages_and_limits_are_the_largest() -> None:
    end = int(NOW.timestamp()) // 60 * 60
    cell = Cell(12.0, 4, 1.0, 9.0)
    by_code = {rule.code: rule for rule in CHARTS}
    opened = draw(by_code["open"], {"open_requests": {end: cell}}, SPANS["1h"], NOW)
    assert [(line.name, line.values[-1]) for line in opened.lines] == [("requests", 3.0)]
    backlog = draw(by_code["backlog"], {"stream_entries": {end: cell}}, SPANS["1h"], NOW)
    assert [(line.name, line.values[-1]) for line in backlog.lines] == [("usage events", 9.0)]


def test_of_many_lines_the_largest_are_drawn() -> None:
    end = int(NOW.timestamp()) // 60 * 60
    series: dict[str, Slots] = {f"provider_calls|p{number}": {end: same(float(number))} for number in range(9)}
    rule = next(rule for rule in CHARTS if rule.code == "calls")
    chart = draw(rule, series | {COVERED: {end: same(1.0)}}, SPANS["1h"], NOW)
    assert [line.name for line in chart.lines] == [f"p{number}" for number in range(3, 9)]


def test_what_rarely_happens_has_a_line_only_when_it_did() -> None:
    end = int(NOW.timestamp()) // 60 * 60
    series: dict[str, Slots] = {
        COVERED: {end: same(10.0)},
        "decisions|admitted": {end: same(5.0)},
        "decisions|quota_exceeded": {end: same(0.0)},
        "decisions|budget_exceeded": {end: same(2.0)},
    }
    rule = next(rule for rule in CHARTS if rule.code == "refused")
    assert [line.name for line in draw(rule, series, SPANS["1h"], NOW).lines] == ["budget_exceeded"]


def test_every_chart_draws_measures_that_are_kept() -> None:
    kept = {measure.code for measure in rules.MEASURES}
    assert {code for rule in CHARTS for code in rule.measures} <= kept
    assert {check.series.partition("|")[0] for check in CHECKS} <= kept | {"up"}
    assert {check.divisor for check in CHECKS} - {""} <= kept


def test_checks_are_alerts_with_a_runbook() -> None:
    groups: dict[str, list[dict[str, Any]]] = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text())["groups"]
    severities = {alert["alert"]: alert["severity"] for group in groups.values() for alert in group}
    for check in CHECKS:
        assert severities[check.alert] == check.severity, check.alert
        assert (ROOT / f"omni/portal/docs/runbooks/{check.alert}.md").exists()


def wrong(check: Check) -> dict[str, Slots]:
    if check.divisor:
        return {check.series: steady(check.limit * 10 + 0.1), check.divisor: steady(10.0)}
    return {check.series: steady(check.limit - 1 if check.below else check.limit + 0.001)}


def right(check: Check) -> dict[str, Slots]:
    if check.divisor:
        return {check.series: steady(check.limit * 10), check.divisor: steady(10.0)}
    return {check.series: steady(check.limit)}


@pytest.mark.parametrize("check", CHECKS, ids=[check.alert for check in CHECKS])
def test_a_check_finds_what_stays_wrong_and_only_that(check: Check) -> None:
    series = wrong(check)
    found = findings(series, NOW)
    assert [(alert.name, alert.severity) for alert in found] == [(check.alert, check.severity)]
    assert found[0].since == datetime.fromtimestamp(min(series[check.series]), UTC)
    assert findings(right(check), NOW) == []
    newest = max(series[check.series])
    short = {name: {newest: slots[newest]} for name, slots in series.items()}
    assert findings(short, NOW) == []


def test_a_limit_that_is_not_set_is_never_passed() -> None:
    assert findings({"redis_memory": steady(1e9), "redis_limit": steady(0.0)}, NOW) == []


def test_trouble_begins_after_the_last_good_slot() -> None:
    slots = dict(steady(0.0))
    good = sorted(slots)[-5]
    slots[good] = same(1.0)
    (alert,) = findings({"up|gateway": slots}, NOW)
    assert alert.since == datetime.fromtimestamp(sorted(slots)[-4], UTC)
    slots[max(slots)] = replace(same(1.0), smallest=0.0)
    assert findings({"up|gateway": slots}, NOW) == []


def test_what_was_not_read_for_a_while_is_no_finding() -> None:
    assert findings({"up|gateway": steady(0.0)}, NOW + timedelta(minutes=3)) == []


def test_the_worst_comes_first() -> None:
    found = findings({"shed": steady(1.0), "differences": steady(1.0), "up|gateway": steady(0.0)}, NOW)
    assert [alert.severity for alert in found] == ["critical", "critical", "warning"]
    assert [alert.name for alert in found] == ["BooksDiffer", "GatewayDown", "GatewayOverloaded"]
