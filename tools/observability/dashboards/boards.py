"""All dashboards."""

from __future__ import annotations

from pathlib import Path

from tools.observability.dashboards import inference, money, systems, traffic
from tools.observability.dashboards.render import to_json
from tools.observability.files import DASHBOARD_FILES

DASHBOARDS = (*traffic.DASHBOARDS, *inference.DASHBOARDS, *money.DASHBOARDS, *systems.DASHBOARDS)


def made() -> dict[Path, str]:
    """Each dashboard's file and its content."""
    return {DASHBOARD_FILES / f"{dashboard.uid}.json": to_json(dashboard) for dashboard in DASHBOARDS}
