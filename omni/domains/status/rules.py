"""From probes and incidents to states, without I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import MappingProxyType

from omni.domains.status.contracts import ComponentState, Day, Impact, Incident, Kind, Probe, Status, Stretch

FAILURES_FOR_OUTAGE = 3
UPTIME_DAYS = 90
BELIEVED_FOR = timedelta(minutes=5)
"""An older probe says nothing about now."""

_UP, _DEGRADED, _PARTIAL = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.PARTIAL
_OUTAGE, _MAINTENANCE, _UNKNOWN = ComponentState.OUTAGE, ComponentState.MAINTENANCE, ComponentState.UNKNOWN
_BADNESS: Mapping[ComponentState, int] = MappingProxyType(
    {state: place for place, state in enumerate((_UNKNOWN, _UP, _MAINTENANCE, _DEGRADED, _PARTIAL, _OUTAGE))}
)
_OF_IMPACT: Mapping[Impact, ComponentState] = MappingProxyType(
    {Impact.MINOR: _DEGRADED, Impact.MAJOR: _PARTIAL, Impact.CRITICAL: _OUTAGE}
)
_OPEN = frozenset({Status.INVESTIGATING, Status.IDENTIFIED, Status.MONITORING})
NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        **dict.fromkeys(_OPEN, _OPEN | {Status.RESOLVED}),
        Status.RESOLVED: frozenset(),
        Status.SCHEDULED: frozenset({Status.SCHEDULED, Status.IN_PROGRESS, Status.COMPLETED}),
        Status.IN_PROGRESS: frozenset({Status.IN_PROGRESS, Status.VERIFYING, Status.COMPLETED}),
        Status.VERIFYING: frozenset({Status.VERIFYING, Status.IN_PROGRESS, Status.COMPLETED}),
        Status.COMPLETED: frozenset(),
    }
)
"""Which status may follow which; the same one is an update without a change."""
FINAL = frozenset({Status.RESOLVED, Status.COMPLETED})
RUNNING = frozenset({Status.IN_PROGRESS, Status.VERIFYING})


def probed_state(newest_first: Sequence[bool]) -> ComponentState:
    """The state after these probe results: one failure degrades, three in a row are an outage."""
    if not newest_first:
        return _UNKNOWN
    if newest_first[0]:
        return _UP
    recent = newest_first[:FAILURES_FOR_OUTAGE]
    return _OUTAGE if len(recent) == FAILURES_FOR_OUTAGE and not any(recent) else _DEGRADED


def component_state(probed: ComponentState, incidents: Iterable[Incident]) -> ComponentState:
    """What the page says of a component: its probes, or what unresolved incidents and maintenances on it say.

    A running maintenance hides failures. An incident makes it no better than its impact until it is being monitored.
    """
    found = list(incidents)
    if any(incident.kind is Kind.MAINTENANCE and incident.status in RUNNING for incident in found):
        return _MAINTENANCE
    claimed = [
        _OF_IMPACT.get(incident.impact, _UP)
        for incident in found
        if incident.kind is Kind.INCIDENT and incident.status in (Status.INVESTIGATING, Status.IDENTIFIED)
    ]
    worst = max(claimed, key=_BADNESS.__getitem__, default=_UP)
    return worst if worst is not _UP and _BADNESS[worst] > _BADNESS[probed] else probed


def overall(states: Sequence[ComponentState]) -> tuple[str, str]:
    """The page's indicator and the key of its description in the catalogue."""
    outages = states.count(_OUTAGE)
    if outages and outages == len(states):
        return "critical", "page_critical"
    if outages or _PARTIAL in states:
        return "major", "page_major"
    if _DEGRADED in states:
        return "minor", "page_minor"
    if _MAINTENANCE in states:
        return "maintenance", "page_maintenance"
    if not states or _UNKNOWN in states:
        return "none", "page_unknown"
    return "none", "page_none"


def uptime_basis_points(days: Iterable[Day]) -> int | None:
    """Share of good probes in hundredths of a percent, rounded down; None without any."""
    found = list(days)
    total = sum(day.total for day in found)
    return sum(day.good for day in found) * 10_000 // total if total else None


def last_days(days: Iterable[Day], today: date) -> list[Day]:
    """90 days up to today, oldest first; those without probes have zeros."""
    by_day = {day.day: day for day in days}
    wanted = (today - timedelta(days=age) for age in range(UPTIME_DAYS - 1, -1, -1))
    return [by_day.get(day, Day(day, 0, 0)) for day in wanted]


class Watch:
    """What the probes of one component say of [start, end): give them in order, the last one before `start` first.

    A probe speaks until the next one, for BELIEVED_FOR at most.
    """

    def __init__(self, component_id: str, start: datetime, end: datetime) -> None:
        self.outages: list[Stretch] = []
        self.maintenances: list[Stretch] = []
        self.watched = timedelta(0)
        self._component_id = component_id
        self._start = start
        self._end = end
        self._last: Probe | None = None

    def see(self, probe: Probe) -> None:
        self._close(probe.probed_at)
        self._last = probe

    def finish(self) -> None:
        self._close(self._end)
        self._last = None

    def _close(self, until: datetime) -> None:
        if self._last is None:
            return
        start = max(self._last.probed_at, self._start)
        end = min(until, self._last.probed_at + BELIEVED_FOR, self._end)
        if start >= end:
            return
        self.watched += end - start
        if self._last.maintenance:
            self._extend(self.maintenances, start, end)
        elif not self._last.ok:
            self._extend(self.outages, start, end)

    def _extend(self, found: list[Stretch], start: datetime, end: datetime) -> None:
        if found and found[-1].end == start:
            start = found.pop().start
        found.append(Stretch(self._component_id, start, end))


def slug(name: str) -> str:
    """The id of a component: its name in small letters a-z, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
