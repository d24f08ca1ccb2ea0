"""What other domains and the composition roots may use of service levels."""

from __future__ import annotations

from omni.domains.sla.repository import list_months
from omni.domains.sla.seeds import seed
from omni.domains.sla.service.checks import verify_tenant
from omni.domains.sla.service.reading import measured_now, month_of
from omni.domains.sla.service.running import MonthlyRun
from omni.domains.sla.service.status_page import HttpStatusPage, outages_unknown

__all__ = [
    "HttpStatusPage",
    "MonthlyRun",
    "list_months",
    "measured_now",
    "month_of",
    "outages_unknown",
    "seed",
    "verify_tenant",
]
