"""Opens and moves incidents and maintenances; each update is queued for subscribers in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from omni.domains.status.contracts import (
    MAINTENANCE_COMPLETED,
    MAINTENANCE_STARTED,
    Component,
    Impact,
    Incident,
    Kind,
    Status,
    Update,
)
from omni.domains.status.repository.file import StatusFile
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.repository.subscriptions import DeliveryQueue
from omni.domains.status.rules import FINAL, NEXT, RUNNING
from omni.kit.clock import Clock
from omni.kit.errors import Conflict, InvalidInput, NotFound
from omni.kit.ids import uuid7


@dataclass(frozen=True, slots=True)
class NewIncident:
    """What somebody reports."""

    name: str
    body: str
    status: Status = Status.INVESTIGATING
    impact: Impact = Impact.MINOR
    component_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewMaintenance:
    """What somebody plans."""

    name: str
    body: str
    scheduled_for: datetime
    scheduled_until: datetime
    component_ids: tuple[str, ...] = ()


class IncidentService:
    """Every change of an incident or a maintenance goes through here."""

    def __init__(
        self,
        components: Sequence[Component],
        file: StatusFile,
        incidents: IncidentStore,
        queue: DeliveryQueue,
        clock: Clock,
    ) -> None:
        self._known = frozenset(component.component_id for component in components)
        self._file = file
        self._incidents = incidents
        self._queue = queue
        self._clock = clock

    def open(self, new: NewIncident) -> Incident:
        """Raises InvalidInput for a component that does not exist."""
        with self._file.transaction():
            return self.open_in_transaction(new, None)

    def open_in_transaction(self, new: NewIncident, alert_group: str | None) -> Incident:
        """As `open`, inside the caller's transaction."""
        now = self._clock.now()
        incident = Incident(
            str(uuid7()),
            Kind.INCIDENT,
            new.name,
            new.status,
            new.impact,
            now,
            now,
            monitoring_at=now if new.status is Status.MONITORING else None,
            resolved_at=now if new.status is Status.RESOLVED else None,
            component_ids=self._components(new.component_ids),
            updates=(Update(str(uuid7()), new.status, new.body, now),),
        )
        return self._add(incident, alert_group)

    def schedule(self, new: NewMaintenance) -> Incident:
        """Raises InvalidInput for an unknown component, and for an end before the beginning or in the past."""
        now = self._clock.now()
        if new.scheduled_until <= max(new.scheduled_for, now):
            raise InvalidInput(
                "invalid_request",
                "scheduled_until must be later than scheduled_for and than now.",
                param="scheduled_until",
            )
        status = Status.IN_PROGRESS if new.scheduled_for <= now else Status.SCHEDULED
        incident = Incident(
            str(uuid7()),
            Kind.MAINTENANCE,
            new.name,
            status,
            Impact.MAINTENANCE,
            now,
            now,
            scheduled_for=new.scheduled_for,
            scheduled_until=new.scheduled_until,
            component_ids=self._components(new.component_ids),
            updates=(Update(str(uuid7()), status, new.body, now),),
        )
        with self._file.transaction():
            return self._add(incident, None)

    def update(self, incident_id: str, body: str, status: Status | None, impact: Impact | None = None) -> Incident:
        """A new entry; without `status` the state stays. Raises NotFound, Conflict."""
        with self._file.transaction():
            incident = self._incidents.get(incident_id)
            if incident is None:
                raise NotFound("incident_not_found", "There is no incident or maintenance with this id.")
            return self.update_in_transaction(incident, body, status or incident.status, impact)

    def update_in_transaction(
        self, incident: Incident, body: str, status: Status, impact: Impact | None = None
    ) -> Incident:
        """As `update`, inside the caller's transaction. Raises Conflict when `status` may not follow."""
        if status not in NEXT[incident.status]:
            allowed = ", ".join(sorted(NEXT[incident.status])) or "nothing, it is over"
            raise Conflict("incident_state", f"After {incident.status} may come: {allowed}.")
        if impact is not None and (impact is Impact.MAINTENANCE) != (incident.kind is Kind.MAINTENANCE):
            raise InvalidInput("invalid_request", "A maintenance has no other impact.", param="impact")
        now = self._clock.now()
        changed = replace(
            incident,
            status=status,
            impact=impact or incident.impact,
            updated_at=now,
            monitoring_at=incident.monitoring_at or (now if status is Status.MONITORING else None),
            resolved_at=now if status in FINAL else None,
            updates=(Update(str(uuid7()), status, body, now), *incident.updates),
        )
        self._incidents.append(changed)
        self._queue.add_update(changed.incident_id, changed.updates[0].update_id, now)
        return changed

    def advance_maintenances(self) -> None:
        """Begins and ends maintenances by the clock."""
        now = self._clock.now()
        for incident in self._incidents.unresolved():
            if incident.kind is not Kind.MAINTENANCE or not incident.scheduled_for or not incident.scheduled_until:
                continue
            begun = incident
            with self._file.transaction():
                if begun.status is Status.SCHEDULED and incident.scheduled_for <= now:
                    begun = self.update_in_transaction(begun, MAINTENANCE_STARTED, Status.IN_PROGRESS)
                if begun.status in RUNNING and incident.scheduled_until <= now:
                    self.update_in_transaction(begun, MAINTENANCE_COMPLETED, Status.COMPLETED)

    def _add(self, incident: Incident, alert_group: str | None) -> Incident:
        self._incidents.add(incident, alert_group)
        self._queue.add_update(incident.incident_id, incident.updates[0].update_id, self._clock.now())
        return incident

    def _components(self, component_ids: Sequence[str]) -> tuple[str, ...]:
        for component_id in component_ids:
            if component_id not in self._known:
                known = ", ".join(sorted(self._known))
                raise InvalidInput(
                    "invalid_request", f"There is no component {component_id!r}; known: {known}.", param="components"
                )
        return tuple(sorted(set(component_ids)))
