"""What each meter counts of an event, and the rollups of a batch; `event_quantity` says the same in SQL.

Quantities are integers here, in units of 10⁻²⁴, so that sums are exact and fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from omni.domains.metering.contracts import Meter
from omni.domains.metering.rules.events import Event, Rejected
from omni.domains.metering.rules.meters import property_path
from omni.domains.metering.rules.periods import EPOCH, SLOT

DECIMALS = 24
SCALE: int = 10**DECIMALS
LIMIT: int = 10**15
_MICROSECOND = timedelta(microseconds=1)
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,24})?")
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_LONGEST_DIMENSION = 200

RollupKey = tuple[str, datetime, tuple[str, ...]]
"""Meter, start of the quarter of an hour, values of the meter's dimensions."""


class Rollup:
    """What a batch adds to one row."""

    __slots__ = ("events", "largest", "latest", "latest_at", "latest_key", "moment_total", "total")

    def __init__(self, quantity: int, micros: int, at: datetime, key: str) -> None:
        self.events, self.total, self.moment_total, self.largest = 1, quantity, quantity * micros, quantity
        self.latest, self.latest_at, self.latest_key = quantity, at, key

    def add(self, quantity: int, micros: int, at: datetime, key: str) -> None:
        """One event more."""
        self.events += 1
        self.total += quantity
        self.moment_total += quantity * micros
        self.largest = max(self.largest, quantity)
        if (at, key) > (self.latest_at, self.latest_key):
            self.latest, self.latest_at, self.latest_key = quantity, at, key


@dataclass(slots=True)
class Batch:
    """What the events of a batch add to the rollups."""

    rollups: dict[RollupKey, Rollup] = field(default_factory=dict)
    uniques: dict[RollupKey, set[str]] = field(default_factory=dict)


class Contribution(NamedTuple):
    """What one meter counts of one event."""

    counter: Counter
    quantity: int
    unique: str


class Counter:
    """One meter, ready to count."""

    __slots__ = ("_filters", "_unique", "_value", "dimensions", "meter")

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.dimensions = [(name, property_path(name)) for name in meter.dimensions]
        self._filters = [(name, property_path(name), frozenset(values)) for name, values in meter.filters.items()]
        self._value = property_path(meter.value_property) if meter.value_property else None
        self._unique = property_path(meter.unique_property) if meter.unique_property else None

    def wants(self, event: Event, project: str) -> bool:
        """Whether the event passes the meter's filters."""
        return not self._filters or all(
            _dimension(event, project, name, path) in values for name, path, values in self._filters
        )

    def contribution(self, event: Event) -> Contribution | None:
        """What the meter counts; None when the event lacks it. Raises Rejected for a quantity that cannot be one."""
        if self._value is not None:
            value = _at(event.data, self._value)
            return None if value is None else Contribution(self, quantity_of(value, signed=self.meter.signed), "")
        if self._unique is not None:
            unique = text_of(_at(event.data, self._unique))
            return Contribution(self, SCALE, unique) if unique else None
        return Contribution(self, SCALE, "")

    def group(self, event: Event, project: str) -> tuple[str, ...]:
        """The values of the meter's dimensions."""
        return tuple([_dimension(event, project, name, path) for name, path in self.dimensions])


class Counting:
    """All meters that count ingested events, by event type."""

    def __init__(self, meters: Sequence[Meter], project: str) -> None:
        self._counters: dict[str, list[Counter]] = {}
        self._project = project
        for meter in meters:
            self._counters.setdefault(meter.event_type, []).append(Counter(meter))
        self._accepted = frozenset(meter.event_type for meter in meters if meter.active)

    def contributions(self, event: Event) -> list[Contribution]:
        """What each meter counts of the event; sets `event.counted`. Raises Rejected."""
        if event.type not in self._accepted:
            raise Rejected("unknown_event_type", "No active meter counts this type; see GET /api/meters.")
        found: list[Contribution] = []
        active = missing = False
        for counter in self._counters[event.type]:
            if not counter.wants(event, self._project):
                continue
            try:
                contribution = counter.contribution(event)
            except Rejected:
                if counter.meter.active:
                    raise
                continue
            if contribution is not None:
                found.append(contribution)
                active = active or counter.meter.active
            elif counter.meter.active:
                missing = True
        event.counted = active and not missing
        return found

    def add(self, batch: Batch, event: Event, contributions: Iterable[Contribution]) -> None:
        """Adds an event that is new to a batch's rollups."""
        at = event.occurred_at
        micros = (at - EPOCH) // _MICROSECOND
        slot = at - (at - EPOCH) % SLOT
        key_text = f"{event.id}\x01{event.source}"
        for each in contributions:
            key = (each.counter.meter.code, slot, each.counter.group(event, self._project))
            rollup = batch.rollups.get(key)
            if rollup is None:
                batch.rollups[key] = Rollup(each.quantity, micros, at, key_text)
            else:
                rollup.add(each.quantity, micros, at, key_text)
            if each.unique:
                batch.uniques.setdefault(key, set()).add(each.unique)


def quantity_of(value: object, *, signed: bool) -> int:
    """A JSON number, or one in text, in units of 10⁻²⁴. Raises Rejected."""
    if type(value) is int:
        quantity = value * SCALE
    elif type(value) is float:
        quantity = int(value) * SCALE if value.is_integer() else _scaled(Decimal(repr(value)))
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        quantity = _scaled(Decimal(value))
    elif isinstance(value, str) and _NOT_FINITE.fullmatch(value):
        raise Rejected("quantity_not_finite", "The quantity is not a finite number.")
    else:
        raise Rejected("invalid_quantity", 'The quantity is a JSON number, or a decimal in text such as "0.25".')
    if not -LIMIT * SCALE < quantity < LIMIT * SCALE:
        raise Rejected("invalid_quantity", "The quantity is not below 10^15. Use a larger unit.")
    if quantity < 0 and not signed:
        raise Rejected("negative_quantity", "The quantity is negative. To take an event back, void it.")
    return quantity


def _scaled(number: Decimal) -> int:
    numerator, denominator = number.as_integer_ratio()
    quantity, rest = divmod(numerator * SCALE, denominator)
    if rest:
        raise Rejected("invalid_quantity", f"The quantity has more than {DECIMALS} decimals. Round it.")
    return quantity


def text_of(value: object) -> str:
    """A scalar as PostgreSQL writes it from jsonb; empty for everything else."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text.removeprefix("-") if value == 0 else text
    return ""


def _dimension(event: Event, project: str, name: str, path: list[str]) -> str:
    if name == "subject":
        return event.subject
    if name == "source":
        return event.source[:_LONGEST_DIMENSION]
    if name == "project":
        return project
    return text_of(_at(event.data, path))[:_LONGEST_DIMENSION]


def _at(data: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(data, dict):
            return None
        data = data.get(name)
    return data
