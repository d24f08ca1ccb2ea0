"""Usage computed naively from raw events, from the definitions: a loop over all of them, in exact fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from omni.domains.metering.contracts import Measured, Meter


@dataclass(frozen=True)
class Reported:
    """An event that was accepted, and not voided."""

    source: str
    id: str
    at: datetime
    data: Mapping[str, Any]
    subject: str = ""
    mode: str = "live"


def measured(
    meter: Meter,
    events: Sequence[Reported],
    start: datetime,
    end: datetime,
    filters: Mapping[str, Sequence[str]],
    group_by: Sequence[str],
) -> list[Measured]:
    """What `measure` has to answer."""
    groups: dict[tuple[str, ...], list[Reported]] = {}
    for event in events:
        wanted = {**{name: list(values) for name, values in meter.filters.items()}}
        passes = all(dimension(event, name) in values for name, values in [*wanted.items(), *filters.items()])
        if passes and counts(meter, event):
            groups.setdefault(tuple(dimension(event, name) for name in group_by), []).append(event)
    found = []
    for group in sorted(groups):
        inside = [event for event in groups[group] if start <= event.at < end]
        before = [event for event in groups[group] if event.at < start]
        quantity = aggregate(meter, before, inside, start, end)
        if quantity is not None:
            found.append(Measured(tuple(zip(group_by, group, strict=True)), quantity, len(inside)))
    return found


def dimension(event: Reported, name: str) -> str:
    if name in ("subject", "source"):
        return str(getattr(event, name))
    value = event.data.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def counts(meter: Meter, event: Reported) -> bool:
    name = meter.unique_property if meter.aggregation == "unique" else meter.value_property
    return meter.aggregation == "count" or event.data.get(name or "") is not None


def value(meter: Meter, event: Reported) -> Fraction:
    return Fraction(str(event.data[meter.value_property or ""]))


def aggregate(
    meter: Meter, before: list[Reported], inside: list[Reported], start: datetime, end: datetime
) -> Fraction | None:
    """None where nothing is known of the group."""
    match meter.aggregation:
        case "count":
            return Fraction(len(inside)) if inside else None
        case "sum":
            return sum((value(meter, event) for event in inside), Fraction(0)) if inside else None
        case "average":
            return sum((value(meter, event) for event in inside), Fraction(0)) / len(inside) if inside else None
        case "max":
            return max(value(meter, event) for event in inside) if inside else None
        case "unique":
            return Fraction(len({str(event.data[meter.unique_property or ""]) for event in inside})) or None
        case "latest":
            known = sorted(before + inside, key=lambda event: (event.at, event.id, event.source))
            return value(meter, known[-1]) if known else None
        case "weighted_sum":
            return mean_level(meter, before, inside, start, end)


def mean_level(
    meter: Meter, before: list[Reported], inside: list[Reported], start: datetime, end: datetime
) -> Fraction | None:
    """The level step by step, each times the microseconds that it held."""
    level = sum((value(meter, event) for event in before), Fraction(0))
    if not inside and not level:
        return None
    area, since = Fraction(0), start
    for event in sorted(inside, key=lambda each: each.at):
        area += level * micros(event.at - since)
        level, since = level + value(meter, event), event.at
    area += level * micros(end - since)
    return area / micros(end - start)


def micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
