"""What others see of usage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Drained:
    """What one round of the drain did."""

    new: int
    duplicate: int
    rejected: int
    last_used: dict[tuple[UUID, UUID], datetime]
    """(tenant id, key id) → the newest request of that key."""


@dataclass(frozen=True, slots=True)
class HourlyUsage:
    """Billable usage of one meter in one hour."""

    meter: str
    hour: datetime
    quantity: int
    events: int
    model: str = ""
    """Empty when no model was involved."""


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """Usage of one group in one window."""

    start: datetime
    group: str
    quantity: int
    events: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Two records of the same thing that do not agree."""

    check: str
    tenant_id: UUID | None
    what: str
    left: int
    right: int
