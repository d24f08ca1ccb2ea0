"""`python -m tools.observability [--check]`: writes what is made of deploy/*.yaml; with --check only compares.

Exit code 1 when a file differs, or an alert lacks what an alert must have.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.observability import alerts, slo
from tools.observability.files import ROOT, RULES, TESTS


def made() -> dict[Path, str]:
    """Every file, with its content."""
    return {
        RULES / "omni.yml": alerts.rules(),
        RULES / "slo.yml": slo.rules(),
        TESTS / "omni.yml": alerts.tests(),
    }


def main() -> int:
    check = "--check" in sys.argv[1:]
    found = list(alerts.findings(alerts.alerts()))
    found += [finding for each in slo.objectives() for finding in alerts.runbook_findings(slo.alert_name(each))]
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
