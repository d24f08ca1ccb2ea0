"""From deploy/alerts.yaml to Prometheus' rules and promtool's tests, and what makes an alert a good one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.observability.files import CONSOLE, DEPLOY, RUNBOOKS, read, runbook_url, to_yaml

SEVERITIES = ("critical", "warning", "info", "none")
TEAMS = ("platform", "billing")
SECTIONS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")
ALWAYS_ON = "Watchdog"
_LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")


def groups() -> dict[str, list[dict[str, Any]]]:
    """Alerts as they are written, by group."""
    found: dict[str, list[dict[str, Any]]] = read(DEPLOY / "alerts.yaml")["groups"]
    return found


def alerts() -> list[dict[str, Any]]:
    return [alert for group in groups().values() for alert in group]


def findings(found: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with alerts; nothing when they are well."""
    for alert in found:
        name = alert["alert"]
        if alert.get("severity") not in SEVERITIES:
            yield f"{name}: severity is one of {', '.join(SEVERITIES)}"
        if alert.get("team", TEAMS[0]) not in TEAMS:
            yield f"{name}: team is one of {', '.join(TEAMS)}"
        for text in ("summary", "description"):
            if not alert.get(text, "").strip():
                yield f"{name}: no {text}"
        yield from runbook_findings(name)
        if not alert.get("fires"):
            yield f"{name}: no case in which it fires"
        if not alert.get("quiet") and name != ALWAYS_ON:
            yield f"{name}: no case in which it is quiet"
    names = [alert["alert"] for alert in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: there are two of this name"


def runbook_findings(name: str) -> Iterator[str]:
    """What is wrong with the runbook of an alert."""
    file = RUNBOOKS / f"{name}.md"
    if not file.exists():
        yield f"{name}: no runbook {file.name}"
        return
    text = file.read_text()
    for section, following in zip(SECTIONS, (*SECTIONS[1:], None), strict=True):
        _, there, rest = text.partition(section + "\n")
        body = rest.partition(following + "\n")[0] if following else rest
        if not there or len(body.split()) < 5:
            yield f"{name}: the runbook says nothing under {section}"


def rules() -> str:
    """The file of rules."""
    return to_yaml(
        "alerts.yaml",
        {"groups": [{"name": name, "rules": [_rule(alert) for alert in group]} for name, group in groups().items()]},
    )


def tests() -> str:
    """promtool's tests: each alert in the cases that are written with it."""
    cases = []
    for alert in alerts():
        fires = alert["fires"]
        labels = fires.get("labels", {})
        expected = {"exp_labels": labels | _labels(alert), "exp_annotations": _annotations(alert, labels)}
        cases.append(_case(alert, "fires", fires, [expected]))
        cases += [_case(alert, "is quiet", quiet, []) for quiet in alert["quiet"]]
    return to_yaml("alerts.yaml", {"rule_files": ["../rules/omni.yml"], "evaluation_interval": "30s", "tests": cases})


def _case(alert: dict[str, Any], what: str, case: dict[str, Any], expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": f"{alert['alert']} {what}",
        "interval": "15s",
        "external_labels": {"console": CONSOLE},
        "input_series": [{"series": series, "values": str(values)} for series, values in case["series"].items()],
        "alert_rule_test": [{"eval_time": case["at"], "alertname": alert["alert"], "exp_alerts": expected}],
    }


def _rule(alert: dict[str, Any]) -> dict[str, Any]:
    return {
        "alert": alert["alert"],
        "expr": alert["expr"],
        "for": alert["for"],
        "labels": _labels(alert),
        "annotations": _annotations(alert, None),
    }


def _labels(alert: dict[str, Any]) -> dict[str, str]:
    return {"severity": alert["severity"], "team": alert.get("team", TEAMS[0])}


def _annotations(alert: dict[str, Any], labels: dict[str, str] | None) -> dict[str, str]:
    """With the labels' values in place when `labels` are given."""
    texts = {name: alert[name] for name in ("summary", "description")}
    if labels is not None:
        texts = {name: _LABEL.sub(lambda found: labels.get(found[1], ""), text) for name, text in texts.items()}
        url = runbook_url(alert["alert"], CONSOLE)
    else:
        url = runbook_url(alert["alert"])
    return texts | {"runbook_url": url}
