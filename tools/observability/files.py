"""Where things are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
OBSERVABILITY = DEPLOY / "observability"
RULES = OBSERVABILITY / "prometheus" / "rules"
TESTS = OBSERVABILITY / "prometheus" / "tests"
DASHBOARD_FILES = OBSERVABILITY / "grafana" / "dashboards"
RUNBOOKS = ROOT / "omni" / "portal" / "docs" / "runbooks"
CONSOLE = "http://console.test"
"""The console in promtool's tests."""
MADE = "# Made by `python -m tools.observability` of deploy/{}; change that and run it again.\n"


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def runbook_url(alert: str, console: str = "{{ $externalLabels.console }}") -> str:
    """Where the console shows the runbook of an alert; Prometheus knows the console by its external label."""
    return f"{console}/docs/runbooks/{alert}"


def to_yaml(source: str, content: Any) -> str:
    """YAML with a first line that says what it was made of."""
    text: str = yaml.safe_dump(content, sort_keys=False, width=10_000, allow_unicode=True)
    return MADE.format(source) + text
