"""What the routes of the status page stand on."""

from __future__ import annotations

from dataclasses import dataclass

from omni.domains.status.service.alerts import AlertService
from omni.domains.status.service.incidents import IncidentService
from omni.domains.status.service.overview import OverviewService
from omni.domains.status.service.recalling import RecallService
from omni.domains.status.service.subscriptions import SubscriptionService


@dataclass(frozen=True, slots=True)
class StatusPortal:
    """Built once, at the top."""

    overview: OverviewService
    incidents: IncidentService
    alerts: AlertService
    recall: RecallService
    subscriptions: SubscriptionService
    page_url: str
    """How people reach the page, without a slash at the end."""
    token: str | None
    """What the platform itself has; None closes the routes that take it."""
