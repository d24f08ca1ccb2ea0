"""Alertmanager's notifications become incidents: one for each alert group, whatever is repeated or comes late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from omni.domains.status.contracts import Component, Impact, Incident, Status
from omni.domains.status.repository.file import StatusFile
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.service.incidents import IncidentService, NewIncident
from omni.kit.clock import Clock

REPEATED_FOR = timedelta(days=30)
"""How long the record of a resolved alert tells a repetition."""
OF_ALERT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "GatewayDown": ("api",),
        "LimitsUnavailable": ("api",),
        "BackendDown": ("inference",),
        "ConsoleDown": ("console",),
        "WorkerDown": ("jobs",),
        "TaskWorkerDown": ("jobs",),
        "PostgresDown": ("console", "inference", "jobs"),
        "RedisDown": ("api", "jobs"),
    }
)
OF_PROCESS: Mapping[str, str] = MappingProxyType(
    {"gateway": "api", "backend": "inference", "console": "console", "worker": "jobs"}
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification."""

    fingerprint: str
    starts_at: str
    resolved: bool
    labels: Mapping[str, str]


class AlertService:
    """Takes notifications of Alertmanager's webhook, version 4."""

    def __init__(
        self,
        components: Sequence[Component],
        file: StatusFile,
        store: IncidentStore,
        incidents: IncidentService,
        clock: Clock,
    ) -> None:
        self._names = {component.component_id: component.name for component in components}
        self._file = file
        self._store = store
        self._incidents = incidents
        self._clock = clock

    def take(self, group: str, alerts: Sequence[Alert]) -> Incident | None:
        """The incident that was opened or resolved by it, None when nothing changed.

        An alert counts once from its start to its end: repeated, or told of after its end, it changes nothing. One that
        touches no component of the page opens nothing.
        """
        with self._file.transaction():
            now = self._clock.now()
            new = [
                alert
                for alert in alerts
                if self._store.see_alert(group, (alert.fingerprint, alert.starts_at), alert.resolved, now)
                and not alert.resolved
            ]
            incident = self._store.open_of_alert_group(group)
            if incident is None:
                return self._open(group, new)
            if self._store.alert_group_fires(group):
                return None
            body = f"Our monitoring sees that {self._named(incident.component_ids)} works again."
            return self._incidents.update_in_transaction(incident, body, Status.RESOLVED)

    def forget_old(self) -> None:
        self._store.forget_alerts_before(self._clock.now() - REPEATED_FOR)

    def _open(self, group: str, new: Sequence[Alert]) -> Incident | None:
        touched = tuple(sorted({component for alert in new for component in self._touched(alert.labels)}))
        if not touched:
            return None
        named = self._named(touched)
        critical = any(alert.labels.get("severity") == "critical" for alert in new)
        report = NewIncident(
            f"Disruption of {named}",
            f"Our monitoring has found a problem with {named}. We are looking into it.",
            impact=Impact.MAJOR if critical else Impact.MINOR,
            component_ids=touched,
        )
        return self._incidents.open_in_transaction(report, group)

    def _touched(self, labels: Mapping[str, str]) -> list[str]:
        by_name = OF_ALERT.get(labels.get("alertname", ""))
        by_process = OF_PROCESS.get(labels.get("process", ""))
        wanted = by_name or ((by_process,) if by_process else ())
        return [component for component in wanted if component in self._names]

    def _named(self, component_ids: Sequence[str]) -> str:
        names = [self._names.get(component_id, component_id) for component_id in component_ids]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
