"""What is known of all components, and what is going on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from omni.domains.status.contracts import Component, ComponentState, Day, Incident, Kind, Status
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.repository.probes import ProbeHistory
from omni.domains.status.rules import (
    BELIEVED_FOR,
    FAILURES_FOR_OUTAGE,
    UPTIME_DAYS,
    component_state,
    last_days,
    overall,
    probed_state,
    uptime_basis_points,
)
from omni.kit.clock import Clock

FEED_LENGTH = 50


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """What is known of one component."""

    component: Component
    state: ComponentState
    probed_at: datetime | None
    changed_at: datetime | None
    uptime_basis_points: int | None
    """Share of good probes in the days below, in hundredths of a percent; None without any."""
    days: tuple[Day, ...]
    """90, oldest first."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole page. `description_key` names a text of the catalogue."""

    indicator: str
    description_key: str
    components: tuple[ComponentStatus, ...]
    incidents: tuple[Incident, ...]
    """Those that are not resolved."""
    maintenances: tuple[Incident, ...]
    """Running and planned ones, the next one first."""
    updated_at: datetime


class OverviewService:
    """Answers from the file alone."""

    def __init__(
        self, components: Sequence[Component], history: ProbeHistory, incidents: IncidentStore, clock: Clock
    ) -> None:
        self.components = tuple(components)
        self._history = history
        self._incidents = incidents
        self._clock = clock

    def overview(self) -> Overview:
        unresolved = self._incidents.unresolved()
        statuses = tuple(self._status(component, unresolved) for component in self.components)
        indicator, key = overall([status.state for status in statuses])
        planned = (incident for incident in unresolved if incident.kind is Kind.MAINTENANCE)
        changes = [status.probed_at for status in statuses if status.probed_at]
        return Overview(
            indicator,
            key,
            statuses,
            tuple(incident for incident in unresolved if incident.kind is Kind.INCIDENT),
            tuple(sorted(planned, key=lambda incident: incident.scheduled_for or incident.created_at)),
            max([*changes, *(incident.updated_at for incident in unresolved)], default=self._clock.now()),
        )

    def component(self, component_id: str) -> ComponentStatus | None:
        unresolved = self._incidents.unresolved()
        found = (component for component in self.components if component.component_id == component_id)
        return next((self._status(component, unresolved) for component in found), None)

    def incident(self, incident_id: str) -> Incident | None:
        return self._incidents.get(incident_id)

    def recent(self, kind: Kind) -> list[Incident]:
        """The last ones, resolved or not, newest first."""
        return self._incidents.recent(kind, FEED_LENGTH)

    def history(self, days: int) -> list[Incident]:
        """Incidents and maintenances that began in the last days, newest first; planned ones are none yet."""
        since = self._clock.now() - timedelta(days=days)
        found = [
            incident
            for kind in Kind
            for incident in self._incidents.recent(kind, 10 * FEED_LENGTH, since)
            if incident.status is not Status.SCHEDULED
        ]
        return sorted(found, key=lambda incident: incident.created_at, reverse=True)

    def now(self) -> datetime:
        return self._clock.now()

    def _status(self, component: Component, unresolved: Sequence[Incident]) -> ComponentStatus:
        newest = self._history.newest(component.component_id, FAILURES_FOR_OUTAGE)
        now = self._clock.now()
        believed = newest if newest and now - newest[0].probed_at <= BELIEVED_FOR else []
        mine = [incident for incident in unresolved if component.component_id in incident.component_ids]
        first_day = now.date() - timedelta(days=UPTIME_DAYS - 1)
        days = last_days(self._history.days(component.component_id, first_day), now.date())
        probed_at = newest[0].probed_at if newest else None
        touched = [incident.updated_at for incident in mine] + ([probed_at] if probed_at else [])
        return ComponentStatus(
            component,
            component_state(probed_state([probe.ok for probe in believed]), mine),
            probed_at,
            max(touched, default=None),
            uptime_basis_points(days),
            tuple(days),
        )
