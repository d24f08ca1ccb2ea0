"""Alert rules, SLOs and routes as they are shipped: checked and tested by Prometheus' and Alertmanager's own tools."""

from __future__ import annotations

import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.observability import alerts, slo
from tools.observability.__main__ import made
from tools.observability.files import OBSERVABILITY, ROOT, RULES, RUNBOOKS, TESTS

ALERTMANAGER = OBSERVABILITY / "alertmanager" / "alertmanager.yml"


def run(*command: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_promtool_accepts_the_rules() -> None:
    done = run("promtool", "check", "rules", *sorted(RULES.glob("*.yml")))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["omni", "slo", "slo-month"])
def test_every_alert_fires_when_it_should_and_only_then(name: str) -> None:
    done = run("promtool", "test", "rules", TESTS / f"{name}.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "good", "planted"),
    [
        ("GatewayDown", 'process="gateway"}) == 0', 'process="gateway"}) == 1'),
        ("RedisNotPersisting", "max(omni_redis_persistence_ok) == 0", "max(omni_redis_persistence_ok) >= 0"),
        ("ProviderFailing", "> 0.5", "> 1.5"),
    ],
)
def test_a_rule_that_was_changed_fails_its_cases(tmp_path: Path, alert: str, good: str, planted: str) -> None:
    shutil.copytree(OBSERVABILITY / "prometheus", tmp_path / "prometheus")
    rules, tests = (tmp_path / "prometheus" / folder / "omni.yml" for folder in ("rules", "tests"))
    content = yaml.safe_load(tests.read_text())
    content["tests"] = [case for case in content["tests"] if case["name"].startswith(f"{alert} ")]
    tests.write_text(yaml.safe_dump(content))
    assert run("promtool", "test", "rules", tests).returncode == 0
    text = rules.read_text()
    assert good in text
    rules.write_text(text.replace(good, planted))
    assert run("promtool", "test", "rules", tests).returncode == 1


def test_what_is_made_is_what_is_kept() -> None:
    for file, content in made().items():
        assert file.read_text() == content, file


def test_every_alert_has_all_that_it_must_have() -> None:
    found = alerts.alerts()
    assert len(found) >= 30
    assert list(alerts.findings(found)) == []
    names = [alert["alert"] for alert in found] + [slo.alert_name(each) for each in slo.objectives()]
    assert sorted(file.stem for file in RUNBOOKS.glob("*.md")) == sorted(names)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"severity": "loud"}, "severity is one of"),
        ({"team": "nobody"}, "team is one of"),
        ({"summary": " "}, "no summary"),
        ({"description": ""}, "no description"),
        ({"fires": None}, "no case in which it fires"),
        ({"quiet": []}, "no case in which it is quiet"),
        ({"alert": "Unwritten"}, "no runbook Unwritten.md"),
        ({"alert": "RedisDown"}, "there are two of this name"),
    ],
)
def test_what_an_alert_lacks_is_found(change: dict[str, Any], says: str) -> None:
    found = deepcopy(alerts.alerts())
    found[0] |= change
    assert any(says in finding for finding in alerts.findings(found))


def test_a_runbook_without_a_section_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "RUNBOOKS", tmp_path)
    (tmp_path / "Planted.md").write_text("# Planted\n\n## Meaning\n\nIt means this and that.\n\n## Impact\n\nNone.\n")
    assert [finding.rpartition("## ")[2] for finding in alerts.runbook_findings("Planted")] == [
        "Impact", "Diagnosis", "Mitigation",
    ]  # fmt: skip


def test_windows_and_factors_are_those_of_the_workbook() -> None:
    assert [(burn.factor, burn.long, burn.short, burn.severity) for burn in slo.BURNS] == [
        (14.4, "1h", "5m", "critical"), (6, "6h", "30m", "critical"), (3, "1d", "2h", "warning"),
        (1, "3d", "6h", "warning"),
    ]  # fmt: skip


def test_an_objective_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for planted in (
        {"objective": 100, "bad": "WINDOW", "all": "WINDOW"},
        {"objective": 99, "bad": "x", "all": "WINDOW"},
    ):
        monkeypatch.setattr(slo, "read", lambda _file, planted=planted: {"slos": [{"name": "x", **planted}]})
        with pytest.raises(ValueError, match="x: "):
            slo.objectives()


def test_alertmanager_accepts_its_configuration() -> None:
    done = run("amtool", "check-config", ALERTMANAGER)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=Watchdog severity=none team=platform", "deadman"),
        ("alertname=GatewayDown severity=critical team=platform", "status-page,pagerduty"),
        ("alertname=BooksDiffer severity=critical team=billing", "pagerduty-billing"),
        ("alertname=MemoryHigh severity=warning team=platform", "slack"),
        ("alertname=UsageBacklog severity=warning team=billing", "slack"),
        ("alertname=ManyLimited severity=info team=platform", "email"),
        ("alertname=InvoicesOverdue severity=info team=billing", "email"),
    ],
)
def test_alerts_go_where_they_should(labels: str, receivers: str) -> None:
    command = ["amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}"]
    done = run(*command, f"--verify.receivers={receivers}", *labels.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert run(*command, "--verify.receivers=nobody", *labels.split()).returncode == 1


def test_every_severity_and_team_that_alerts_have_is_in_the_table() -> None:
    written = yaml.safe_load((RULES / "omni.yml").read_text())
    found = {
        (rule["labels"]["severity"], rule["labels"]["team"]) for group in written["groups"] for rule in group["rules"]
    }
    assert found <= {
        ("none", "platform"), ("critical", "platform"), ("critical", "billing"), ("warning", "platform"),
        ("warning", "billing"), ("info", "platform"), ("info", "billing"),
    }  # fmt: skip
