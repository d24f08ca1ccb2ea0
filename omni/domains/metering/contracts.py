"""What others see of usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal
from uuid import UUID

Aggregation = Literal["count", "sum", "max", "latest", "unique", "average", "weighted_sum"]
Window = Literal["hour", "day", "month"]
MeterScope = Literal["platform", "operator"]

REQUEST_EVENT = "omni.request"
"""The event type of the platform's own meters: one event per request, written by the gateway."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What is counted, of which events, and how.

    `value_property` and `unique_property` name members of an event's data, dotted where they are nested.
    """

    code: str
    name: str
    unit: str
    description: str
    aggregation: Aggregation = "sum"
    event_type: str = REQUEST_EVENT
    value_property: str | None = None
    """The quantity; None for `count` and `unique`."""
    unique_property: str | None = None
    """What `unique` counts the distinct values of."""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Only events count of which each named dimension has one of its values."""
    dimensions: tuple[str, ...] = ("model", "endpoint", "project", "key", "status")
    """What usage may be grouped and filtered by: `subject`, `source`, `project`, or a member of the data."""
    scope: MeterScope = "platform"
    active: bool = True
    """Whether events that only this meter counts are accepted."""
    rolled_up: bool = True
    """False while older events are being added to the rollups; until then raw events are counted."""

    @property
    def signed(self) -> bool:
        """Whether quantities are changes, which may be negative."""
        return self.aggregation == "weighted_sum"


@dataclass(frozen=True, slots=True)
class Measured:
    """Usage of one group in a period."""

    dimensions: tuple[tuple[str, str], ...]
    """Name and value, in the order asked for."""
    quantity: Fraction
    events: int
    """Events in the period; 0 when only a state from before it counts."""


@dataclass(frozen=True, slots=True)
class WindowMeasured:
    """Usage of one group in one window of a period."""

    start: datetime
    dimensions: tuple[tuple[str, str], ...]
    quantity: Fraction
    events: int


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """One event that a measurement counts."""

    event_id: str
    """The request id, for the platform's own events."""
    source: str
    """Empty for the platform's own events."""
    occurred_at: datetime
    value: Decimal
    """1 for `count` and `unique`."""
    cursor: str
    """Give it as `after` to go on behind this event."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One event as a transaction with a price of its own."""

    dimensions: tuple[tuple[str, str], ...]
    value: Decimal
    price: Decimal | None
    """The member `price` of its data; None when it is missing or no amount."""
    event_id: str
    source: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class UsageProblem:
    """Events that were accepted or received and do not count as somebody may think they do."""

    code: str
    what: str
    """The event type, the meter, or nothing."""
    events: int
    sample: str
    """One of them: its source and id, or the reason."""
    tenant_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """What one round of the drain did."""

    new: int
    duplicate: int
    rejected: int
    last_used: dict[tuple[UUID, UUID], datetime]
    """(tenant id, key id) → the newest request of that key."""
    occurred_at_micros: tuple[int, ...]
    """When the requests of the new events were admitted."""


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """Usage of one group of a meter in one window."""

    start: datetime
    meter: str
    group: str
    """The values of the dimensions with commas between, or the meter where nothing is grouped by."""
    dimensions: tuple[tuple[str, str], ...]
    quantity: Fraction
    events: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Two records of the same thing that do not agree."""

    check: str
    tenant_id: UUID | None
    what: str
    left: int
    right: int


MarginGroup = Literal["tenant", "model", "endpoint"]


@dataclass(frozen=True, slots=True)
class Margin:
    """What the requests of a group earned and cost, nano-units of the platform's currency."""

    group: str
    requests: int
    earned_nanos: int
    cost_nanos: int
    written_off_nanos: int
    """What went beyond hard ceilings and was not charged."""

    @property
    def margin_nanos(self) -> int:
        return self.earned_nanos - self.cost_nanos
