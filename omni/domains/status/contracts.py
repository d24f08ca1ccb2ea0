"""Components, incidents, maintenances and subscriptions. Names and values as in Statuspage's public API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

Language = Literal["en", "sl"]

MAINTENANCE_STARTED = "The scheduled maintenance has begun."
MAINTENANCE_COMPLETED = "The scheduled maintenance is over."
"""Updates that nobody writes; pages and mails say them in the reader's language."""


class ComponentState(StrEnum):
    UNKNOWN = "unknown"
    OPERATIONAL = "operational"
    DEGRADED = "degraded_performance"
    PARTIAL = "partial_outage"
    OUTAGE = "major_outage"
    MAINTENANCE = "under_maintenance"


class Kind(StrEnum):
    INCIDENT = "incident"
    MAINTENANCE = "maintenance"


class Status(StrEnum):
    """Of an incident the first four, of a maintenance the others."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"


class Impact(StrEnum):
    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"
    MAINTENANCE = "maintenance"


class Channel(StrEnum):
    EMAIL = "email"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Component:
    """Something that is probed."""

    component_id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One look at one component."""

    component_id: str
    probed_at: datetime
    ok: bool
    millis: int
    reason: str
    """Empty when ok."""
    maintenance: bool = False
    """Whether it was made during a maintenance; then a failure is no downtime."""


@dataclass(frozen=True, slots=True)
class Day:
    """What the probes of one UTC day say."""

    day: date
    good: int
    total: int
    """All that count: good ones, and failures outside of maintenances."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which all probes of a component failed, or were made during a maintenance."""

    component_id: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """What was seen of components between two instants."""

    outages: tuple[Stretch, ...]
    """Without what failed during maintenances."""
    maintenances: tuple[Stretch, ...]
    incidents: tuple[Incident, ...]
    unwatched_micros: dict[str, int]
    """How long no probe says anything, by component."""


@dataclass(frozen=True, slots=True)
class Update:
    """An entry of an incident's or a maintenance's timeline."""

    update_id: str
    status: Status
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident or a maintenance; `updates` newest first."""

    incident_id: str
    kind: Kind
    name: str
    status: Status
    impact: Impact
    created_at: datetime
    updated_at: datetime
    monitoring_at: datetime | None = None
    resolved_at: datetime | None = None
    """When a maintenance was completed, too."""
    scheduled_for: datetime | None = None
    scheduled_until: datetime | None = None
    component_ids: tuple[str, ...] = ()
    updates: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told of updates."""

    subscription_id: str
    channel: Channel
    target: str
    """An e-mail address or a URL."""
    language: Language
    token: str
    """Unguessable; in the links that confirm and end the subscription."""
    secret: str
    """What webhooks are signed with; empty for e-mail."""
    created_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that still has to be sent. Without `update_id` it is the question whether to subscribe."""

    delivery_id: str
    subscription_id: str
    incident_id: str | None
    update_id: str | None
    attempts: int
    due_at: datetime
