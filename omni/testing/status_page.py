"""The in-memory twin of the status page as service levels ask it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from omni.domains.sla.contracts import Observed
from omni.domains.sla.facade import outages_unknown


@dataclass
class InMemoryStatusPage:
    """Says what it is told to say; `away` = it does not answer."""

    says: Observed = field(default_factory=lambda: Observed(unwatched_micros={"api": 0, "inference": 0}))
    away: bool = False
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    async def observed(self, start: datetime, end: datetime) -> Observed:
        self.asked.append((start, end))
        if self.away:
            raise outages_unknown("away")
        return self.says
