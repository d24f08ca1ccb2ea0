"""The 17 rules of github.com/grafana/dashboard-linter, under their names, for dashboards as Grafana's JSON.

All but target-promql-rule need nothing else; that one asks promtool, which has Prometheus' own parser.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.observability.promql import Selector, selectors

Json = dict[str, Any]

UNITS = frozenset(
    {
        "none", "short", "percentunit", "bytes", "Bps", "s", "ops", "reqps", "bool_yes_no", "dateTimeAsIso",
        "dateTimeFromNow", "currencyEUR", "currencyUSD",
    }
)  # fmt: skip
"""Those of Grafana's that the house uses."""
WITH_QUERIES = frozenset({"stat", "singlestat", "graph", "table", "timeseries", "gauge", "heatmap", "bargauge"})
LABEL_FUNCTIONS = frozenset({"label_names", "label_values", "metrics", "query_result"})
RATES = frozenset({"rate", "irate"})
OF_COUNTERS = frozenset({*RATES, "increase"})


def findings(dashboard: Json) -> list[str]:
    """What a dashboard breaks, as `title: rule: what`; empty when it is well."""
    title = dashboard.get("title", "")
    found = [(name, said) for name, rule in DASHBOARD_RULES.items() for said in rule(dashboard)]
    for panel in panels(dashboard):
        where = f"panel {panel.get('title', '')!r}"
        found += [(name, f"{where} {said}") for name, rule in PANEL_RULES.items() for said in rule(dashboard, panel)]
        for target in panel.get("targets", []):
            found += [(name, f"{where} {said}") for name, rule in TARGET_RULES.items() for said in rule(target)]
    return [f"{title}: {name}: {said}" for name, said in found]


def syntax_findings(dashboards: Iterable[Json]) -> list[str]:
    """target-promql-rule: queries that are not PromQL. Raises FileNotFoundError without promtool."""
    queries = [
        (f"{dashboard.get('title', '')}: target-promql-rule: panel {panel.get('title', '')!r}", target["expr"])
        for dashboard in dashboards
        for panel in panels(dashboard)
        for target in panel.get("targets", [])
        if not _is_loki(target)
    ]
    rules = [{"record": f"query{at}", "expr": _expanded(expr)} for at, (_, expr) in enumerate(queries)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "queries.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
        command = ["promtool", "check", "rules", "--lint=none", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 0:
        return []
    said = done.stdout + done.stderr
    broken = sorted({int(number) for number in re.findall(r'"query(\d+)"', said)})
    return [f"{queries[at][0]} is not PromQL: {queries[at][1]}" for at in broken] or [said]


def panels(dashboard: Json) -> list[Json]:
    """Every panel, those in rows too; rows themselves are none."""
    found: list[Json] = []
    for panel in dashboard.get("panels", []):
        found += [panel] if panel.get("type") != "row" else panel.get("panels", [])
    return found


def _expanded(expr: str) -> str:
    return expr.replace("$__rate_interval", "5m").replace("$__range", "1h").replace("$__interval", "1m")


def _variables(dashboard: Json, kind: str | None = None) -> list[Json]:
    return [each for each in dashboard.get("templating", {}).get("list", []) if kind in (None, each.get("type"))]


def _datasource_uid(owner: Json) -> str:
    datasource = owner.get("datasource") or ""
    return str(datasource.get("uid", "") if isinstance(datasource, dict) else datasource)


def _uses_templated_datasource(dashboard: Json, owner: Json) -> bool:
    names = {variable["name"] for variable in _variables(dashboard, "datasource")}
    return _datasource_uid(owner) in {f"${name}" for name in names} | {f"${{{name}}}" for name in names}


def _query(variable: Json) -> str:
    query = variable.get("query", "")
    return str(query.get("query", "") if isinstance(query, dict) else query)


# --- the dashboard ---


def _template_datasource(dashboard: Json) -> Iterator[str]:
    variables = _variables(dashboard, "datasource")
    if not variables:
        yield "has no variable for its data source"
    for variable in variables:
        kind = _query(variable)
        alone = len(variables) == 1
        if variable.get("name") not in {f"{kind}_datasource", *(["datasource"] if alone else [])}:
            yield f"the data source's variable is named {variable.get('name')}"
        if variable.get("label") not in {f"{kind.capitalize()} data source", *(["Data source"] if alone else [])}:
            yield f"the data source's variable is labelled {variable.get('label')}"


def _template_label(name: str) -> Callable[[Json], Iterator[str]]:
    def rule(dashboard: Json) -> Iterator[str]:
        variable = next((each for each in _variables(dashboard) if each.get("name") == name), None)
        if variable is None:
            yield f"has no variable {name}"
            return
        if not _uses_templated_datasource(dashboard, variable):
            yield f"the variable {name} does not use the data source's variable"
        for member, wanted in (("type", "query"), ("label", name.capitalize()), ("multi", True), ("allValue", ".+")):
            if variable.get(member) != wanted:
                yield f"the variable {name} has {member} {variable.get(member)!r} instead of {wanted!r}"

    return rule


def _template_label_promql(dashboard: Json) -> Iterator[str]:
    for variable in _variables(dashboard, "query"):
        query = _query(variable)
        call = re.fullmatch(r"([a-z_]+)\((.+)\)", query)
        if call is None or call[1] not in LABEL_FUNCTIONS or not selectors(call[2]):
            yield f"the variable {variable.get('name')} has no valid query: {query}"


def _template_reload(dashboard: Json) -> Iterator[str]:
    for variable in _variables(dashboard, "query"):
        if variable.get("refresh") != 2:
            yield f"the variable {variable.get('name')} is not read again when the time range changes"


def _uneditable(dashboard: Json) -> Iterator[str]:
    if dashboard.get("editable") is not False:
        yield "can be edited in Grafana, where the change is lost"


# --- panels ---


def _panel_datasource(dashboard: Json, panel: Json) -> Iterator[str]:
    if panel.get("type") in WITH_QUERIES and not _uses_templated_datasource(dashboard, panel):
        yield f"uses the data source {_datasource_uid(panel)!r} instead of the variable's"


def _panel_title_description(_dashboard: Json, panel: Json) -> Iterator[str]:
    for member in ("title", "description"):
        if not panel.get(member, "").strip():
            yield f"has no {member}"


def _panel_units(_dashboard: Json, panel: Json) -> Iterator[str]:
    config = panel.get("fieldConfig", {})
    units = [config.get("defaults", {}).get("unit", "")]
    units += [
        each["value"] for override in config.get("overrides", []) for each in override["properties"]
        if each["id"] == "unit"
    ]  # fmt: skip
    for unit in units:
        if panel.get("type") in WITH_QUERIES and unit not in UNITS:
            yield f"has the unit {unit!r}"


def _panel_no_targets(_dashboard: Json, panel: Json) -> Iterator[str]:
    if panel.get("type") in WITH_QUERIES and not panel.get("targets"):
        yield "has no query"


# --- queries ---


def _is_loki(target: Json) -> bool:
    datasource = target.get("datasource")
    return isinstance(datasource, dict) and datasource.get("type") == "loki"


def _selectors(target: Json) -> list[Selector]:
    return [] if _is_loki(target) else selectors(target["expr"])


def _target_logql(target: Json) -> Iterator[str]:
    if _is_loki(target) and not re.search(r"\{[^{}]*\w+\s*(=|!=|=~|!~)\s*[\"`][^{}]*\}", target["expr"]):
        yield f"has a query of logs without a selector of streams: {target['expr']}"


def _target_logql_auto(target: Json) -> Iterator[str]:
    if _is_loki(target) and any(range_ != "$__auto" for range_ in re.findall(r"\[([^\]]+)\]", target["expr"])):
        yield f"has a fixed range instead of $__auto: {target['expr']}"


def _target_rate_interval(target: Json) -> Iterator[str]:
    for selector in _selectors(target):
        if selector.function in RATES and selector.range != "$__rate_interval":
            yield f"has a rate over {selector.range} instead of $__rate_interval: {target['expr']}"


def _target_matcher(label: str) -> Callable[[Json], Iterator[str]]:
    def rule(target: Json) -> Iterator[str]:
        for selector in _selectors(target):
            if (label, "=~", f"${label}") not in selector.matchers:
                yield f'reads {selector.name} without {label}=~"${label}": {target["expr"]}'

    return rule


def _target_counter(target: Json) -> Iterator[str]:
    for selector in _selectors(target):
        if selector.name.endswith("_total") and not (selector.range and selector.function in OF_COUNTERS):
            yield f"reads the counter {selector.name} outside of {', '.join(sorted(OF_COUNTERS))}: {target['expr']}"


DASHBOARD_RULES: dict[str, Callable[[Json], Iterator[str]]] = {
    "template-datasource-rule": _template_datasource,
    "template-job-rule": _template_label("job"),
    "template-instance-rule": _template_label("instance"),
    "template-label-promql-rule": _template_label_promql,
    "template-on-time-change-reload-rule": _template_reload,
    "uneditable-dashboard": _uneditable,
}
PANEL_RULES: dict[str, Callable[[Json, Json], Iterator[str]]] = {
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _panel_title_description,
    "panel-units-rule": _panel_units,
    "panel-no-targets-rule": _panel_no_targets,
}
TARGET_RULES: dict[str, Callable[[Json], Iterator[str]]] = {
    "target-logql-rule": _target_logql,
    "target-logql-auto-rule": _target_logql_auto,
    "target-rate-interval-rule": _target_rate_interval,
    "target-job-rule": _target_matcher("job"),
    "target-instance-rule": _target_matcher("instance"),
    "target-counter-agg-rule": _target_counter,
}
RULES = (*DASHBOARD_RULES, *PANEL_RULES, *TARGET_RULES, "target-promql-rule")
