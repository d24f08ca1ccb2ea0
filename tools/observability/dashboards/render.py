"""From a dashboard's data to the JSON that Grafana reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tools.observability.dashboards.model import Dashboard, Kind, Panel, Query
from tools.observability.promql import with_matchers

SCHEMA_VERSION = 41
"""Of Grafana 12."""
GRID_WIDTH = 24
CONSOLE = "http://127.0.0.1:8081"
JOB, INSTANCE = 'job=~"$job"', 'instance=~"$instance"'
_DATASOURCE = {"type": "prometheus", "uid": "$datasource"}
_HEIGHTS: dict[Kind, int] = {"stat": 4, "timeseries": 8, "table": 8, "heatmap": 8, "bargauge": 8}


def to_json(dashboard: Dashboard) -> str:
    """The file's content: sorted, two spaces, the same each time."""
    content = {
        "annotations": {"list": []},
        "description": dashboard.description,
        "editable": False,
        "graphTooltip": 1,
        "links": [
            {
                "asDropdown": True, "icon": "external link", "includeVars": True, "keepTime": True, "tags": ["omni"],
                "targetBlank": False, "title": "Omni", "tooltip": "", "type": "dashboards", "url": "",
            }
        ],
        "panels": _panels(dashboard),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["omni"],
        "templating": {"list": _variables()},
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "title": f"Omni / {dashboard.title}",
        "uid": f"omni-{dashboard.uid}",
        "version": 1,
    }  # fmt: skip
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def expression(query: Query) -> str:
    """As Grafana sends it, with its variables."""
    return with_matchers(query.expr, JOB, INSTANCE).replace("[R]", "[$__rate_interval]")


def _variables() -> list[dict[str, Any]]:
    datasource = {
        "current": {"text": "Prometheus", "value": "prometheus"}, "label": "Data source", "name": "datasource",
        "query": "prometheus", "refresh": 1, "type": "datasource",
    }  # fmt: skip
    console = {
        "current": {"text": CONSOLE, "value": CONSOLE}, "label": "Console", "name": "console", "query": CONSOLE,
        "type": "textbox",
    }  # fmt: skip
    return [
        datasource,
        _label_variable("job", "label_values(omni_build_info, job)"),
        _label_variable("instance", f"label_values(omni_build_info{{{JOB}}}, instance)"),
        console,
    ]


def _label_variable(name: str, query: str) -> dict[str, Any]:
    return {
        "allValue": ".+", "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": _DATASOURCE, "definition": query, "includeAll": True, "label": name.capitalize(), "multi": True,
        "name": name, "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "type": "query",
    }  # fmt: skip


def _panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Panels from left to right, in lines as high as their highest."""
    made: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        made.append(
            {
                "collapsed": False, "gridPos": {"h": 1, "w": GRID_WIDTH, "x": 0, "y": top}, "id": len(made) + 1,
                "panels": [], "title": row.title, "type": "row",
            }
        )  # fmt: skip
        top += 1
        for line in _lines(row.panels):
            left = 0
            for panel in line:
                place = {"h": _HEIGHTS[panel.kind], "w": panel.width, "x": left, "y": top}
                made.append(_panel(panel, len(made) + 1, place))
                left += panel.width
            top += max(_HEIGHTS[panel.kind] for panel in line)
    return made


def _lines(panels: Sequence[Panel]) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in panels:
        if line and sum(each.width for each in line) + panel.width > GRID_WIDTH:
            yield line
            line = []
        line.append(panel)
    if line:
        yield line


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "datasource": _DATASOURCE,
        "description": panel.description,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "gridPos": place,
        "id": number,
        "links": [
            {"targetBlank": True, "title": f"Runbook: {alert}", "url": f"${{console}}/docs/runbooks/{alert}"}
            for alert in panel.alerts
        ],
        "options": _options(panel),
        "targets": [_target(panel, query, place) for place, query in enumerate(panel.queries)],
        "title": panel.title,
        "transformations": _transformations(panel),
        "type": panel.kind,
    }


def _target(panel: Panel, query: Query, place: int) -> dict[str, Any]:
    at_once = panel.kind in ("table", "bargauge")
    return {
        "datasource": _DATASOURCE,
        "editorMode": "code",
        "exemplar": panel.kind == "timeseries" and "_bucket" in query.expr,
        "expr": expression(query),
        "format": "heatmap" if panel.kind == "heatmap" else "table" if panel.kind == "table" else "time_series",
        "instant": at_once,
        "legendFormat": query.legend or "__auto",
        "range": not at_once,
        "refId": chr(ord("A") + place),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    colors = ("red", "orange", "green") if panel.low_is_bad else ("green", "orange", "red")
    if len(panel.thresholds) == 1:
        colors = (colors[0], colors[2], colors[2])
    steps: list[dict[str, Any]] = [{"color": colors[0], "value": None}]
    steps += [{"color": color, "value": value} for color, value in zip(colors[1:], panel.thresholds, strict=False)]
    defaults: dict[str, Any] = {
        "color": {"mode": "thresholds" if panel.kind in ("stat", "bargauge") else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "unit": panel.unit,
    }
    if panel.unit == "percentunit" and panel.kind == "timeseries":
        defaults["min"] = 0
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "fillOpacity": 30 if panel.stacked else 0,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        }
    return defaults


def _options(panel: Panel) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "timeseries":
        return {
            "legend": {"calcs": ["mean", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.kind == "stat":
        return {"colorMode": "value", "graphMode": "area", "reduceOptions": last, "textMode": "auto"}
    if panel.kind == "bargauge":
        return {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": last, "showUnfilled": True}
    if panel.kind == "heatmap":
        return {"calculate": False, "cellGap": 1, "color": {"scheme": "Oranges", "steps": 64},
                "yAxis": {"unit": panel.unit}}  # fmt: skip
    return {"cellHeight": "sm", "showHeader": True}


def _transformations(panel: Panel) -> list[dict[str, Any]]:
    """A table has one line for each set of labels, and no column of times."""
    if panel.kind != "table":
        return []
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": _columns(panel)}},
    ]


def _columns(panel: Panel) -> dict[str, str]:
    if len(panel.queries) == 1:
        return {"Value": panel.queries[0].legend or panel.title}
    return {f"Value #{chr(ord('A') + place)}": query.legend for place, query in enumerate(panel.queries)}
