"""Usage by window and group, as people ask for it, and what is wrong with some events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import Meter, UsagePoint, UsageProblem, Window, WindowMeasured
from omni.domains.metering.repository import measuring as repository
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.repository import problems
from omni.domains.metering.rules.aggregating import assemble
from omni.domains.metering.rules.periods import cut, windows
from omni.domains.metering.service.measuring import measure_windows
from omni.foundation.db.sessions import ReadSession, SystemSession

METER = "meter"
_WINDOWS_AT_ONCE = 768


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which usage."""

    since: datetime
    until: datetime
    window: Window = "day"
    """Of the zone."""
    zone: str = "UTC"
    meter: str | None = None
    """None = every meter; then there is no other group."""
    group_by: tuple[str, ...] = (METER,)
    """`meter`, or dimensions of the meter."""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mode: Mode = "live"


async def usage_series(session: ReadSession, query: UsageQuery, now: datetime) -> list[UsagePoint]:
    """Usage by window, then group. Windows that begin in the future are left out: what is to come is not known.

    Raises as `measure`.
    """
    return [point async for point in stream_series(session, query, now)]


async def stream_series(session: ReadSession, query: UsageQuery, now: datetime) -> AsyncIterator[UsagePoint]:
    """The same piece by piece, in memory that does not grow with the period."""
    bounds = windows(query.since, query.until, query.window, ZoneInfo(query.zone))
    begun = [bound for bound in bounds[:-1] if bound <= now]
    bounds = bounds[: len(begun) + 1]
    for first in range(0, len(bounds) - 1, _WINDOWS_AT_ONCE):
        piece = bounds[first : first + _WINDOWS_AT_ONCE + 1]
        points = await _one_meter(session, query, piece) if query.meter else await _every_meter(session, query, piece)
        for point in points:
            yield point


async def _one_meter(session: ReadSession, query: UsageQuery, bounds: list[datetime]) -> list[UsagePoint]:
    assert query.meter is not None
    group_by = [name for name in query.group_by if name != METER]
    measured = await measure_windows(
        session, query.meter, bounds, filters=query.filters, group_by=group_by, mode=query.mode
    )
    return [_point(query.meter, each) for each in measured]


async def _every_meter(session: ReadSession, query: UsageQuery, bounds: list[datetime]) -> list[UsagePoint]:
    parts = await repository.request_parts(session, query.mode, cut(bounds))
    points = [
        _point(each.dimensions[0][1], WindowMeasured(each.start, (), each.quantity, each.events))
        for each in assemble("sum", bounds, (METER,), parts)
    ]
    for meter in await meters_repository.operator_meters(session):
        points += [
            _point(meter.code, each) for each in await measure_windows(session, meter.code, bounds, mode=query.mode)
        ]
    return sorted(points, key=lambda point: (point.start, point.meter))


def _point(meter: str, measured: WindowMeasured) -> UsagePoint:
    group = ", ".join(value for _, value in measured.dimensions) if measured.dimensions else meter
    return UsagePoint(measured.start, meter, group, measured.dimensions, measured.quantity, measured.events)


async def usage_problems(session: ReadSession, since: datetime) -> list[UsageProblem]:
    """Events of the session's tenant from `since` on that do not count as somebody may think they do."""
    found = [_problem(f"rejected.{row['code']}", row) for row in await problems.rejected(session, since)]
    found += [_problem("unknown_meter", row) for row in await problems.unknown_meters(session, since)]
    for code, row in (
        ("lapsed", await problems.lapsed(session, since)),
        ("written_off", await problems.written_off(session, since)),
    ):
        if row["events"]:
            found.append(UsageProblem(code, "", row["events"], row["sample"] or ""))
    active: dict[str, list[Meter]] = {}
    for meter in await meters_repository.operator_meters(session):
        if meter.active:
            active.setdefault(meter.event_type, []).append(meter)
    for kind in await problems.types_not_counted(session, since):
        for code, events, sample in await problems.not_counted(session, kind, active.get(kind, []), since):
            found.append(UsageProblem("value_missing" if code else "not_counted", code or kind, events, sample))
    return [replace(problem, tenant_id=session.tenant_id) for problem in found]


async def platform_problems(session: SystemSession, since: datetime) -> list[UsageProblem]:
    """What belongs to no tenant: entries of the usage stream that were no events."""
    row = await problems.unreadable(session, since)
    return [UsageProblem("unreadable", "", row["events"], row["sample"])] if row["events"] else []


async def tenants_with_problems(session: SystemSession, since: datetime) -> list[UUID]:
    """Up to 100 tenants of which `usage_problems` would find some."""
    return await problems.tenants(session, since)


def _problem(code: str, row: Mapping[Any, Any]) -> UsageProblem:
    return UsageProblem(code, row["what"], row["events"], row["sample"])
