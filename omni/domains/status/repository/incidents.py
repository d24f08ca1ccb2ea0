"""Incidents and maintenances with their timelines, and the alerts that opened some of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from omni.domains.status.contracts import Impact, Incident, Kind, Status, Update
from omni.domains.status.repository.file import StatusFile

_COLUMNS = (
    "id, kind, name, status, impact, created_at, updated_at, monitoring_at, resolved_at, scheduled_for, scheduled_until"
)


class IncidentStore:
    """Callers hold a transaction while they write."""

    def __init__(self, file: StatusFile) -> None:
        self._connection = file.connection

    def add(self, incident: Incident, alert_group: str | None = None) -> None:
        """The incident, its components and its updates."""
        self._connection.execute(
            "insert into incidents values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                incident.incident_id,
                incident.kind,
                incident.name,
                incident.status,
                incident.impact,
                incident.created_at.isoformat(),
                incident.updated_at.isoformat(),
                _text(incident.monitoring_at),
                _text(incident.resolved_at),
                _text(incident.scheduled_for),
                _text(incident.scheduled_until),
                alert_group,
            ),
        )
        self._connection.executemany(
            "insert into incident_components values (?, ?)",
            [(incident.incident_id, component_id) for component_id in incident.component_ids],
        )
        for update in incident.updates:
            self._add_update(incident.incident_id, update)

    def append(self, incident: Incident) -> None:
        """Stores the incident's state and its newest update."""
        self._connection.execute(
            "update incidents set status = ?, impact = ?, updated_at = ?, monitoring_at = ?, resolved_at = ? "
            "where id = ?",
            (
                incident.status,
                incident.impact,
                incident.updated_at.isoformat(),
                _text(incident.monitoring_at),
                _text(incident.resolved_at),
                incident.incident_id,
            ),
        )
        self._add_update(incident.incident_id, incident.updates[0])

    def get(self, incident_id: str) -> Incident | None:
        row = self._connection.execute(
            f"select {_COLUMNS} from incidents where id = ?",  # noqa: S608 - constant
            (incident_id,),
        ).fetchone()
        return self._from_row(row) if row else None

    def recent(self, kind: Kind, limit: int, since: datetime | None = None) -> list[Incident]:
        """Newest first, those created since an instant when one is given."""
        rows = self._connection.execute(
            f"select {_COLUMNS} from incidents where kind = ? and created_at >= ? "  # noqa: S608 - constant
            "order by created_at desc, id desc limit ?",
            (kind, _text(since) or "", limit),
        ).fetchall()
        return [self._from_row(row) for row in rows]

    def touching(self, component_ids: Sequence[str], start: datetime, end: datetime) -> list[Incident]:
        """Incidents on any of these components that were open in [start, end), oldest first."""
        marks = ", ".join("?" * len(component_ids))
        rows = self._connection.execute(
            f"select {_COLUMNS} from incidents where kind = ? and created_at < ? "  # noqa: S608 - constants and marks
            "and (resolved_at is null or resolved_at > ?) and exists (select 1 from incident_components c "
            f"where c.incident_id = incidents.id and c.component in ({marks})) order by created_at, id",
            (Kind.INCIDENT, end.isoformat(), start.isoformat(), *component_ids),
        ).fetchall()
        return [self._from_row(row) for row in rows]

    def unresolved(self) -> list[Incident]:
        """Incidents and maintenances that are not over, newest first."""
        rows = self._connection.execute(
            f"select {_COLUMNS} from incidents where resolved_at is null "  # noqa: S608 - constant
            "order by created_at desc, id desc"
        ).fetchall()
        return [self._from_row(row) for row in rows]

    def open_of_alert_group(self, alert_group: str) -> Incident | None:
        row = self._connection.execute(
            f"select {_COLUMNS} from incidents where alert_group = ? and resolved_at is null",  # noqa: S608 - constant
            (alert_group,),
        ).fetchone()
        return self._from_row(row) if row else None

    def see_alert(self, alert_group: str, alert: tuple[str, str], resolved: bool, now: datetime) -> bool:
        """Records one firing (fingerprint, start) of an alert; whether it is new. What was resolved stays so."""
        fingerprint, starts_at = alert
        new = self._connection.execute(
            "insert into alerts values (?, ?, ?, ?, ?) on conflict do nothing",
            (fingerprint, starts_at, alert_group, int(resolved), now.isoformat()),
        ).rowcount
        if resolved and not new:
            self._connection.execute(
                "update alerts set resolved = 1 where fingerprint = ? and starts_at = ?", (fingerprint, starts_at)
            )
        return bool(new)

    def alert_group_fires(self, alert_group: str) -> bool:
        """Whether any alert of the group is not resolved."""
        row = self._connection.execute(
            "select 1 from alerts where alert_group = ? and resolved = 0 limit 1", (alert_group,)
        ).fetchone()
        return row is not None

    def forget_alerts_before(self, moment: datetime) -> None:
        """Drops resolved alerts that no repetition can be expected of."""
        self._connection.execute("delete from alerts where resolved = 1 and seen_at < ?", (moment.isoformat(),))

    def _add_update(self, incident_id: str, update: Update) -> None:
        self._connection.execute(
            "insert into incident_updates values (?, ?, ?, ?, ?)",
            (update.update_id, incident_id, update.status, update.body, update.created_at.isoformat()),
        )

    def _from_row(self, row: tuple[str, ...]) -> Incident:
        updates: sqlite3.Cursor = self._connection.execute(
            "select id, status, body, created_at from incident_updates where incident_id = ? "
            "order by created_at desc, id desc",
            (row[0],),
        )
        components = self._connection.execute(
            "select component from incident_components where incident_id = ? order by component", (row[0],)
        )
        return Incident(
            row[0],
            Kind(row[1]),
            row[2],
            Status(row[3]),
            Impact(row[4]),
            datetime.fromisoformat(row[5]),
            datetime.fromisoformat(row[6]),
            _time(row[7]),
            _time(row[8]),
            _time(row[9]),
            _time(row[10]),
            tuple(found[0] for found in components),
            tuple(Update(found[0], Status(found[1]), found[2], datetime.fromisoformat(found[3])) for found in updates),
        )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
