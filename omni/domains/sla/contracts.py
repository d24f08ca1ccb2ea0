"""What a plan promises, what a month was like, and what was credited for it.

Availabilities are integers of a thousandth of a percent: 99900 is 99.9 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

Outcome = Literal["met", "no_sla", "waiting", "nothing_to_credit", "credited"]
"""Of a month: no threshold was missed; the plan promises nothing; a threshold was missed and not all invoices of the
month are final; nothing was charged that could be credited; a credit note was issued."""


@dataclass(frozen=True, slots=True)
class Tier:
    """What is given back of a month's fees when it was less available than a threshold."""

    below_millipercent: int
    credit_percent: int


@dataclass(frozen=True, slots=True)
class SlaTable:
    """What a plan promises, as it was published; it never changes. Versions count from 1 in each plan."""

    plan_code: str
    version: int
    tiers: tuple[Tier, ...]
    """The highest threshold first; empty = nothing is promised."""
    published_at: datetime
    """It holds for months that begin from then on."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the probes of a component failed, or in which it was under announced maintenance."""

    component: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class IncidentRef:
    """An incident on the status page."""

    incident_id: str
    name: str
    started_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Observed:
    """What the status page saw of the components between two instants."""

    outages: tuple[Stretch, ...] = ()
    maintenances: tuple[Stretch, ...] = ()
    incidents: tuple[IncidentRef, ...] = ()
    unwatched_micros: Mapping[str, int] | None = None
    """How long nobody looked, by component; counts neither way."""


class StatusPage(Protocol):
    """Asks the status process."""

    async def observed(self, start: datetime, end: datetime) -> Observed:
        """What it saw in [start, end). Raises Unavailable `outages_unknown`."""
        ...


@dataclass(frozen=True, slots=True)
class Loss:
    """A quarter of an hour that was not fully available."""

    start: datetime
    valid: int
    """Requests of the tenant."""
    failed: int
    """Those of them that count as failed; none while a maintenance was announced."""
    down_micros: int
    """How long the probes of any component failed."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """How available a period was to a tenant."""

    start: datetime
    end: datetime
    slots: int
    """Quarters of an hour in it."""
    availability: int | None
    """None before the first quarter is over."""
    losses: tuple[Loss, ...]
    observed: Observed


@dataclass(frozen=True, slots=True)
class Month:
    """A tenant's month. Until `measured_at` it is preliminary and not stored; from `closed_at` on it never changes."""

    month: date
    """Its first day, in the tenant's zone."""
    start: datetime
    end: datetime
    slots: int
    availability: int | None
    plan_code: str | None
    table_version: int | None
    """None when the plan had no table when the month began."""
    outcome: Outcome | None
    credit_percent: int = 0
    currency: str | None = None
    base_minor: int = 0
    """What the month's fixed and usage charges came to, without tax."""
    credit_minor: int = 0
    invoice_id: UUID | None = None
    """The credit note."""
    evidence: Mapping[str, Any] | None = None
    """None in lists."""
    measured_at: datetime | None = None
    closed_at: datetime | None = None
