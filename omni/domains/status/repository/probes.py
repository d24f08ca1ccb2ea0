"""Probes as they were made, and their sums by UTC day."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from omni.domains.status.contracts import Day, Probe
from omni.domains.status.repository.file import StatusFile


class ProbeHistory:
    """Appends probes and answers from them."""

    def __init__(self, file: StatusFile) -> None:
        self._file = file

    def add(self, probe: Probe) -> None:
        """The probe and its day's sums, in one transaction."""
        with self._file.transaction():
            self._file.connection.execute(
                "insert into probes (component, probed_at, ok, millis, reason, maintenance) values (?, ?, ?, ?, ?, ?)",
                (
                    probe.component_id,
                    probe.probed_at.isoformat(),
                    int(probe.ok),
                    probe.millis,
                    probe.reason,
                    int(probe.maintenance),
                ),
            )
            counted = int(probe.ok or not probe.maintenance)
            self._file.connection.execute(
                "insert into days values (?, ?, ?, ?) on conflict (component, day) "
                "do update set good = good + excluded.good, total = total + excluded.total",
                (probe.component_id, probe.probed_at.date().isoformat(), int(probe.ok), counted),
            )

    def newest(self, component_id: str, count: int) -> list[Probe]:
        """The last probes of a component, newest first."""
        rows = self._file.connection.execute(
            "select component, probed_at, ok, millis, reason, maintenance from probes where component = ? "
            "order by probed_at desc limit ?",
            (component_id, count),
        )
        return [_probe(row) for row in rows]

    def between(self, component_id: str, start: datetime, end: datetime) -> list[Probe]:
        """The probes in [start, end), oldest first."""
        rows = self._file.connection.execute(
            "select component, probed_at, ok, millis, reason, maintenance from probes "
            "where component = ? and probed_at >= ? and probed_at < ? order by probed_at",
            (component_id, start.isoformat(), end.isoformat()),
        )
        return [_probe(row) for row in rows]

    def days(self, component_id: str, since: date) -> list[Day]:
        """The sums of each day from `since`, oldest first; a day without probes is missing."""
        rows = self._file.connection.execute(
            "select day, good, total from days where component = ? and day >= ? order by day",
            (component_id, since.isoformat()),
        )
        return [Day(date.fromisoformat(row[0]), row[1], row[2]) for row in rows]

    def recount(self, component_id: str, since: date) -> list[Day]:
        """The same as `days`, counted from the probes themselves."""
        rows = self._file.connection.execute(
            "select substr(probed_at, 1, 10) as day, sum(ok), sum(ok or not maintenance) from probes "
            "where component = ? and probed_at >= ? group by day order by day",
            (component_id, since.isoformat()),
        )
        return [Day(date.fromisoformat(row[0]), row[1], row[2]) for row in rows]

    def forget_before(self, day: date) -> None:
        """Drops probes and sums of earlier days."""
        with self._file.transaction():
            self._file.connection.execute("delete from probes where probed_at < ?", (day.isoformat(),))
            self._file.connection.execute("delete from days where day < ?", (day.isoformat(),))


def _probe(row: tuple[Any, ...]) -> Probe:
    return Probe(row[0], datetime.fromisoformat(row[1]), bool(row[2]), row[3], row[4], bool(row[5]))
