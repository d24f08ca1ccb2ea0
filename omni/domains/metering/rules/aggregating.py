"""From what the database summed up to quantities, exactly.

The aggregations are those of Lago (billable metrics) and OpenMeter (meters):

count         how many events
sum           their quantities added up
max           the largest quantity
average       sum divided by count
unique        how many different values a member of their data has
latest        the quantity of the last event before the period's end, be it before the period's start; of events at the
              same instant the one with the greater id, then the greater source
weighted_sum  quantities are changes of a level that begins at 0 and is never reset. The level's mean over the period:
              each level times how long it held, divided by the period's length. So 10 for half of the period is 5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from omni.domains.metering.contracts import Aggregation, WindowMeasured
from omni.domains.metering.rules.periods import EPOCH

Group = tuple[str, ...]

CARRIED: frozenset[Aggregation] = frozenset(("latest", "weighted_sum"))
"""Aggregations for which what was before the period counts."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of one group in one window (counted from 0)."""

    window: int
    group: Group
    events: int
    total: Decimal = Decimal(0)
    """Of the quantities."""
    moment_total: Decimal = Decimal(0)
    """Of the quantities, each times the Unix microseconds of its event."""
    value: Decimal = Decimal(0)
    """The largest, the latest or the number of different values, as the aggregation wants."""


def assemble(
    aggregation: Aggregation,
    bounds: Sequence[datetime],
    names: Sequence[str],
    parts: Sequence[Part],
    carried: Sequence[Part] = (),
) -> list[WindowMeasured]:
    """Usage by window and group, in that order. `carried` is the state at the first bound; groups of which nothing is
    known are left out."""
    known = {(part.window, part.group): part for part in parts}
    if aggregation in CARRIED:
        measured = _with_state(aggregation, bounds, known, carried)
    else:
        measured = {key: _plain(aggregation, part) for key, part in known.items()}
    return [
        WindowMeasured(
            bounds[window],
            tuple(zip(names, group, strict=True)),
            quantity,
            known[window, group].events if (window, group) in known else 0,
        )
        for (window, group), quantity in sorted(measured.items())
    ]


def _plain(aggregation: Aggregation, part: Part) -> Fraction:
    if aggregation == "count":
        return Fraction(part.events)
    if aggregation == "sum":
        return Fraction(part.total)
    if aggregation == "average":
        return Fraction(part.total) / part.events
    return Fraction(part.value)


def _with_state(
    aggregation: Aggregation,
    bounds: Sequence[datetime],
    known: Mapping[tuple[int, Group], Part],
    carried: Sequence[Part],
) -> dict[tuple[int, Group], Fraction]:
    latest = aggregation == "latest"
    state = {part.group: Fraction(part.value if latest else part.total) for part in carried}
    groups = state.keys() | {group for _, group in known}
    measured: dict[tuple[int, Group], Fraction] = {}
    for window in range(len(bounds) - 1):
        start, end = _micros(bounds[window]), _micros(bounds[window + 1])
        for group in groups:
            part = known.get((window, group))
            level = state.get(group)
            if part is None and not (level if latest is False else level is not None):
                continue
            if latest:
                state[group] = measured[window, group] = _known(level) if part is None else Fraction(part.value)
                continue
            held = (level or Fraction(0)) * (end - start)
            if part is not None:
                held += Fraction(part.total) * end - Fraction(part.moment_total)
                state[group] = (level or Fraction(0)) + Fraction(part.total)
            measured[window, group] = held / (end - start)
    return measured


def _known(level: Fraction | None) -> Fraction:
    assert level is not None, "a group without events has a state"
    return level


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND
