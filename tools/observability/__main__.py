"""`python -m tools.observability [--check]`: writes rules, their tests and dashboards; with --check only compares.

Exit code 1 when a file differs, an alert lacks what an alert must have, or a dashboard what a dashboard must have.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tools.observability import alerts, dashboard_lint, slo
from tools.observability.dashboards import boards
from tools.observability.files import ROOT, RULES, TESTS


def made() -> dict[Path, str]:
    """Every file, with its content."""
    return {
        RULES / "omni.yml": alerts.rules(),
        RULES / "slo.yml": slo.rules(),
        TESTS / "omni.yml": alerts.tests(),
        **boards.made(),
    }


def main() -> int:
    check = "--check" in sys.argv[1:]
    found = list(alerts.findings(alerts.alerts()))
    found += [finding for each in slo.objectives() for finding in alerts.runbook_findings(slo.alert_name(each))]
    for content in boards.made().values():
        found += dashboard_lint.findings(json.loads(content))
    for file, content in made().items():
        if check and (not file.exists() or file.read_text() != content):
            found.append(f"{file.relative_to(ROOT)} is not what `python -m tools.observability` makes")
        elif not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    sys.stdout.write("".join(f"{finding}\n" for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
