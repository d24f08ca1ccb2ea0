"""The SQLite file: its tables, and how a file of an earlier release becomes one of this."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = 1
_TABLES = """
create table if not exists probes (
    component text not null, probed_at text not null, ok integer not null, millis integer not null,
    reason text not null, maintenance integer not null default 0
);
create index if not exists probes_component_time on probes (component, probed_at);
create table if not exists days (
    component text not null, day text not null, good integer not null, total integer not null,
    primary key (component, day)
) without rowid;
create table if not exists incidents (
    id text primary key, kind text not null, name text not null, status text not null, impact text not null,
    created_at text not null, updated_at text not null, monitoring_at text, resolved_at text,
    scheduled_for text, scheduled_until text, alert_group text
);
create index if not exists incidents_kind_time on incidents (kind, created_at);
create unique index if not exists incidents_open_alert on incidents (alert_group) where resolved_at is null;
create table if not exists incident_updates (
    id text primary key, incident_id text not null references incidents, status text not null, body text not null,
    created_at text not null
);
create index if not exists incident_updates_incident on incident_updates (incident_id);
create table if not exists incident_components (
    incident_id text not null references incidents, component text not null, primary key (incident_id, component)
) without rowid;
create table if not exists alerts (
    fingerprint text not null, starts_at text not null, alert_group text not null, resolved integer not null,
    seen_at text not null, primary key (fingerprint, starts_at)
) without rowid;
create table if not exists subscriptions (
    id text primary key, channel text not null, target text not null, language text not null,
    token text not null unique, secret text not null, created_at text not null, confirmed_at text,
    unique (channel, target)
);
create table if not exists subscription_attempts (who text not null, tried_at text not null);
create index if not exists subscription_attempts_who on subscription_attempts (who, tried_at);
create table if not exists deliveries (
    id text primary key, subscription_id text not null references subscriptions on delete cascade,
    incident_id text, update_id text, attempts integer not null default 0, due_at text not null,
    unique (subscription_id, update_id)
);
create index if not exists deliveries_due on deliveries (due_at);
"""


class StatusFile:
    """The open file. `connection` runs each statement by itself, unless a `transaction` is open."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.connection = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)
        self.connection.executescript(
            "pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on;"
        )
        with self.transaction():
            self._migrate()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. One may not stand inside another, and nothing is awaited inside."""
        self.connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def close(self) -> None:
        self.connection.close()

    def _migrate(self) -> None:
        (version,) = self.connection.execute("pragma user_version").fetchone()
        if version >= VERSION:
            return
        columns = [row[1] for row in self.connection.execute("pragma table_info(probes)")]
        if columns and "maintenance" not in columns:
            self.connection.execute("alter table probes add column maintenance integer not null default 0")
        for statement in filter(None, map(str.strip, _TABLES.split(";"))):
            self.connection.execute(statement)
        self.connection.execute(
            "insert into days select component, substr(probed_at, 1, 10), sum(ok), count(*) from probes "
            "group by component, substr(probed_at, 1, 10)"
        )
        self.connection.execute(f"pragma user_version = {VERSION}")
