"""From deploy/slo.yaml to recording rules and multi-window burn-rate alerts.

Windows and factors are those of the SRE workbook (sre.google/workbook/alerting-on-slos, table 5-8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tools.observability.files import DEPLOY, read, runbook_url, to_yaml

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


EVERYWHERE = {"job": "omni", "instance": "all"}
"""Labels of what is recorded, which is of every process: dashboards choose by job and instance."""


@dataclass(frozen=True, slots=True)
class Burn:
    """An alert on how fast the error budget goes: in a long window, and still in a short one."""

    factor: float
    long: str
    short: str
    hold: str
    severity: str


BURNS = (
    Burn(14.4, "1h", "5m", "30s", "critical"),
    Burn(6, "6h", "30m", "15m", "critical"),
    Burn(3, "1d", "2h", "1h", "warning"),
    Burn(1, "3d", "6h", "3h", "warning"),
)


def objectives() -> list[dict[str, Any]]:
    """The SLOs as they are written. Raises ValueError for one that cannot be."""
    found: list[dict[str, Any]] = read(DEPLOY / "slo.yaml")["slos"]
    for slo in found:
        if not 50 <= slo["objective"] < 100:
            raise ValueError(f"{slo['name']}: an objective is a percentage from 50 to below 100")
        for member in ("bad", "all"):
            if "WINDOW" not in slo[member]:
                raise ValueError(f"{slo['name']}: {member} has no [WINDOW]")
    return found


def alert_name(slo: dict[str, Any]) -> str:
    """E.g. `AvailabilityBudgetBurn`."""
    return "".join(word.capitalize() for word in slo["name"].split("-")) + "BudgetBurn"


def rules() -> str:
    """The file of rules."""
    groups = []
    for slo in objectives():
        labels = {"slo": slo["name"], **EVERYWHERE}
        records: list[dict[str, Any]] = [
            {
                "record": f"slo:error_ratio:rate{window}",
                "expr": f"(({slo['bad']}) / ({slo['all']}) or vector(0))".replace("WINDOW", window),
                "labels": labels,
            }
            for window in WINDOWS
        ]
        budget = round(1 - slo["objective"] / 100, 10)
        records.append({"record": "slo:error_budget:ratio", "expr": f"vector({budget:g})", "labels": labels})
        groups.append(
            {"name": f"slo-{slo['name']}", "rules": [*records, *(_alert(slo, budget, burn) for burn in BURNS)]}
        )
    return to_yaml("slo.yaml", {"groups": groups})


def _alert(slo: dict[str, Any], budget: float, burn: Burn) -> dict[str, Any]:
    def over(window: str) -> str:
        return f'max by (slo) (slo:error_ratio:rate{window}{{slo="{slo["name"]}"}}) > {budget * burn.factor:g}'

    name = alert_name(slo)
    return {
        "alert": name,
        "expr": f"{over(burn.long)} and {over(burn.short)}",
        "for": burn.hold,
        "labels": {"severity": burn.severity, "team": slo["team"], "window": burn.long},
        "annotations": {
            "summary": f"The error budget of {slo['name']} goes {burn.factor:g} times too fast",
            "description": f"{slo['summary']}: the promise is {slo['objective']} % in 30 days. Over {burn.long} and "
            f"{burn.short}, errors use the budget at more than {burn.factor:g} times the rate that it allows.",
            "runbook_url": runbook_url(name),
        },
    }
