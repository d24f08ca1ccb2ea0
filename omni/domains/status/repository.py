"""The history of probes in SQLite."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_SCHEMA = """
create table if not exists probes (
    component text not null, probed_at text not null, ok integer not null, millis integer not null, reason text not null
);
create index if not exists probes_component_time on probes (component, probed_at);
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """One look at one component."""

    component: str
    probed_at: datetime
    ok: bool
    millis: int
    reason: str
    """Empty when ok."""


class ProbeHistory:
    """Appends probes and answers from them. One connection, used from one thread."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file)
        self._connection.executescript("pragma journal_mode = wal; pragma synchronous = normal;" + _SCHEMA)

    def add(self, probe: Probe) -> None:
        with self._connection:
            self._connection.execute(
                "insert into probes values (?, ?, ?, ?, ?)",
                (probe.component, probe.probed_at.isoformat(), int(probe.ok), probe.millis, probe.reason),
            )

    def newest(self, component: str, count: int) -> list[Probe]:
        """The last probes of a component, newest first."""
        rows = self._connection.execute(
            "select component, probed_at, ok, millis, reason from probes where component = ? "
            "order by probed_at desc limit ?",
            (component, count),
        )
        return [Probe(row[0], datetime.fromisoformat(row[1]), bool(row[2]), row[3], row[4]) for row in rows]

    def uptime(self, component: str, since: datetime) -> tuple[int, int]:
        """Good probes and all probes since an instant."""
        row = self._connection.execute(
            "select coalesce(sum(ok), 0), count(*) from probes where component = ? and probed_at >= ?",
            (component, since.isoformat()),
        ).fetchone()
        return int(row[0]), int(row[1])

    def forget_before(self, moment: datetime) -> None:
        with self._connection:
            self._connection.execute("delete from probes where probed_at < ?", (moment.isoformat(),))

    def close(self) -> None:
        self._connection.close()
