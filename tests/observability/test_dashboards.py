"""Dashboards as they are shipped, the linter's rules with a fault planted for each, and the tokens of PromQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tools.observability import alerts, coverage, slo
from tools.observability.dashboard_lint import RULES, findings, panels, syntax_findings
from tools.observability.dashboards.boards import DASHBOARDS, made
from tools.observability.dashboards.render import expression
from tools.observability.files import DASHBOARD_FILES
from tools.observability.promql import grouping_labels, selectors, with_matchers

Json = dict[str, Any]
ASKED_FOR = {
    "overview", "gateway", "providers", "inference", "tenancy", "metering", "billing", "jobs", "postgresql", "redis",
    "slo", "cost",
}  # fmt: skip
LOKI = {"type": "loki", "uid": "$datasource"}


def shipped() -> list[Json]:
    return [json.loads(file.read_text()) for file in sorted(DASHBOARD_FILES.glob("*.json"))]


def test_all_dashboards_are_there_and_nothing_else() -> None:
    assert {dashboard.uid for dashboard in DASHBOARDS} >= ASKED_FOR
    assert set(DASHBOARD_FILES.iterdir()) == set(made())
    content = shipped()
    assert len({dashboard["uid"] for dashboard in content}) == len(content)


def test_the_linter_finds_nothing() -> None:
    assert [finding for dashboard in shipped() for finding in findings(dashboard)] == []
    assert syntax_findings(shipped()) == []


def variable(dashboard: Json, name: str) -> Json:
    found: Json = next(each for each in dashboard["templating"]["list"] if each["name"] == name)
    return found


def without(dashboard: Json, name: str) -> None:
    dashboard["templating"]["list"].remove(variable(dashboard, name))


def target(dashboard: Json, **change: Any) -> None:
    panels(dashboard)[0]["targets"][0] |= change


def good(function: str = "rate", range_: str = "[$__rate_interval]", name: str = "x_total") -> str:
    return f'{function}({name}{{job=~"$job", instance=~"$instance"}}{range_})'


PLANTED: list[tuple[str, Callable[[Json], object]]] = [
    ("template-datasource-rule", lambda board: without(board, "datasource")),
    ("template-datasource-rule", lambda board: variable(board, "datasource").update(label="Source")),
    ("template-job-rule", lambda board: without(board, "job")),
    ("template-job-rule", lambda board: variable(board, "job").update(allValue="")),
    ("template-instance-rule", lambda board: without(board, "instance")),
    ("template-instance-rule", lambda board: variable(board, "instance").update(multi=False)),
    ("template-label-promql-rule", lambda board: variable(board, "job").update(query="values(up, job)")),
    ("template-on-time-change-reload-rule", lambda board: variable(board, "job").update(refresh=1)),
    ("panel-datasource-rule", lambda board: panels(board)[0].update(datasource={"uid": "prometheus"})),
    ("panel-title-description-rule", lambda board: panels(board)[0].update(description=" ")),
    ("panel-units-rule", lambda board: panels(board)[0]["fieldConfig"]["defaults"].update(unit="fortnights")),
    ("panel-no-targets-rule", lambda board: panels(board)[0].update(targets=[])),
    ("target-logql-rule", lambda board: target(board, datasource=LOKI, expr="count_over_time([$__auto])")),
    ("target-logql-auto-rule", lambda board: target(board, datasource=LOKI, expr='rate({app="omni"}[5m])')),
    ("target-rate-interval-rule", lambda board: target(board, expr=good(range_="[5m]"))),
    ("target-job-rule", lambda board: target(board, expr='up{instance=~"$instance"}')),
    ("target-instance-rule", lambda board: target(board, expr='up{job=~"$job", instance="$instance"}')),
    ("target-counter-agg-rule", lambda board: target(board, expr=good("sum", ""))),
    ("target-counter-agg-rule", lambda board: target(board, expr=good("avg_over_time"))),
    ("uneditable-dashboard", lambda board: board.update(editable=True)),
]


@pytest.mark.parametrize(("rule", "plant"), PLANTED)
def test_a_planted_fault_is_found_by_its_rule_alone(rule: str, plant: Callable[[Json], object]) -> None:
    dashboard = deepcopy(shipped()[0])
    plant(dashboard)
    found = findings(dashboard)
    assert any(f": {rule}: " in finding for finding in found), found
    if rule != "template-datasource-rule":
        assert all(f": {rule}: " in finding for finding in found), found


def test_a_query_that_is_not_promql_is_found() -> None:
    dashboard = deepcopy(shipped()[0])
    target(dashboard, expr="sum(rate(up)")
    assert [": target-promql-rule: " in finding for finding in syntax_findings([dashboard])] == [True]


def test_every_rule_has_a_fault_planted() -> None:
    assert len(RULES) == 17
    assert {rule for rule, _ in PLANTED} | {"target-promql-rule"} == set(RULES)


def test_every_alert_is_on_a_panel_and_every_link_leads_to_a_runbook() -> None:
    known = {alert["alert"] for alert in alerts.alerts()} | {slo.alert_name(each) for each in slo.objectives()}
    linked = {alert for dashboard in DASHBOARDS for panel in dashboard.panels for alert in panel.alerts}
    assert linked == known - {alerts.ALWAYS_ON}


def test_panels_do_not_overlap_and_fill_no_more_than_the_grid() -> None:
    for dashboard in shipped():
        taken: set[tuple[int, int]] = set()
        for panel in panels(dashboard):
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, (dashboard["uid"], panel["title"])
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, (dashboard["uid"], panel["title"])
            taken |= cells


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ('sum by (le) (rate(a_bucket{x="}"}[5m])) / on (job) group_left () max(b)', ["a_bucket", "b"]),
        ("sum(rate(a[5m])) by (x) or vector(0) > bool 1.2e9", ["a"]),
        ("topk(3, slo:a:b) and time() - c offset 5m unless d", ["slo:a:b", "c", "d"]),
    ],
)
def test_names_are_read_from_queries(expr: str, names: list[str]) -> None:
    assert [selector.name for selector in selectors(expr)] == names


def test_what_stands_around_a_selector_is_read() -> None:
    (found,) = selectors('max(increase(a_total{x=~"b|c", y!="d"}[1h]))')
    assert (found.function, found.range) == ("increase", "1h")
    assert found.matchers == (("x", "=~", "b|c"), ("y", "!=", "d"))
    assert grouping_labels("sum by (a, b) (x) / ignoring (c) y") == {"a", "b", "c"}
    assert with_matchers('rate(a{x="y"}[5m]) + b', 'j="k"') == 'rate(a{j="k", x="y"}[5m]) + b{j="k"}'


def test_every_query_has_its_matchers_and_interval() -> None:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                assert "[R]" not in expression(query)
                assert expression(query).count('job=~"$job"') == len(selectors(query.expr))


def test_planted_orphans_and_unseen_metrics_are_found() -> None:
    exported = coverage.samples(
        '# TYPE omni_a counter\nomni_a_total{x="1"} 1\n# TYPE omni_a_created gauge\nomni_a_created 1\n'
        '# TYPE omni_h_seconds histogram\nomni_h_seconds_bucket{le="+Inf"} 1\nomni_h_seconds_count 1\n'
        "omni_h_seconds_sum 1\n"
    )
    assert exported == {
        "omni_a_total": {"x"}, "omni_h_seconds_bucket": {"le"}, "omni_h_seconds_count": set(),
        "omni_h_seconds_sum": set(),
    }  # fmt: skip
    good = [("w", 'sum by (x, process) (rate(omni_a_total{x="1", job="j"}[5m]))')]
    assert coverage.orphans(good, exported) == []
    planted = [("w", "omni_a"), ("w", 'omni_a_total{y="1"}'), ("w", "sum by (z) (omni_a_total)")]
    assert coverage.orphans(planted, exported) == [
        "w: nobody exports omni_a", "w: omni_a_total has no label y", "w: groups by z, which nothing has",
    ]  # fmt: skip
    assert coverage.unseen(good, exported) == ["omni_h_seconds"]
    assert coverage.unseen([*good, ("w", "omni_h_seconds_sum")], [*exported, "process_open_fds"]) == []
