"""What the composition roots may use of budgets."""

from __future__ import annotations

from omni.domains.budgets.service import find_alerts, publish_all

__all__ = ["find_alerts", "publish_all"]
