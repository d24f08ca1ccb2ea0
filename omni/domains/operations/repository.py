"""The short-term store: an SQLite file of the console's own, so that charts outlive PostgreSQL and Redis."""

from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from omni.domains.operations.contracts import Cell, Slots

STEPS: Mapping[int, timedelta] = {15: timedelta(hours=3), 300: timedelta(days=2), 3600: timedelta(days=31)}
"""Widths of the slots that are kept, in seconds, and for how long. Each figure is in all of them."""

_TABLES = """
create table if not exists series (id integer primary key, name text not null unique);
create table if not exists cells (
    step integer not null, series integer not null, at integer not null, total real not null, count integer not null,
    smallest real not null, largest real not null, primary key (step, at, series)
) without rowid;
"""
_ADD = """
insert into cells (step, series, at, total, count, smallest, largest) values (?, ?, ?, ?, 1, ?, ?)
on conflict (step, at, series) do update
set total = total + excluded.total, count = count + 1, smallest = min(smallest, excluded.smallest),
    largest = max(largest, excluded.largest)
"""


class FiguresFile:
    """The open file. Its methods may be called from any thread, and wait for one another."""

    def __init__(self, path: Path) -> None:
        """Makes the file where it is missing. Raises sqlite3.DatabaseError for a file that is none."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._connection.executescript("pragma journal_mode = wal; pragma synchronous = normal;" + _TABLES)
        path.chmod(0o600)
        self._ids: dict[str, int] = dict(self._connection.execute("select name, id from series"))

    def add(self, at: float, figures: Mapping[str, float]) -> None:
        """Adds a round's figures, by series, to the slots that `at` (Unix time) is in, and forgets what is too old."""
        with self._lock:
            self._connection.execute("begin immediate")
            try:
                ids = {name: self._id(name) for name in figures}
                for step, kept in STEPS.items():
                    slot = int(at) // step * step
                    rows = [(step, ids[name], slot, value, value, value) for name, value in figures.items()]
                    self._connection.executemany(_ADD, rows)
                    self._connection.execute(
                        "delete from cells where step = ? and at < ?", (step, int(at - kept.total_seconds()))
                    )
            except BaseException:
                self._connection.execute("rollback")
                self._ids = dict(self._connection.execute("select name, id from series"))
                raise
            self._connection.execute("commit")

    def read(self, since: float, step: int) -> dict[str, Slots]:
        """Every series' cells from an instant on, in slots of `step` seconds: a multiple of a step that is kept."""
        kept = max(width for width in STEPS if step % width == 0)
        with self._lock:
            rows = self._connection.execute(
                "select name, at, total, count, smallest, largest from cells join series on id = series "
                "where step = ? and at >= ?",
                (kept, int(since) // step * step),
            ).fetchall()
        found: dict[str, dict[int, Cell]] = defaultdict(dict)
        for name, at, *values in rows:
            slot, cell = at // step * step, Cell(*values)
            known = found[name].get(slot)
            found[name][slot] = cell if known is None else known + cell
        return dict(found)

    def close(self) -> None:
        self._connection.close()

    def _id(self, name: str) -> int:
        if name not in self._ids:
            self._ids[name] = self._connection.execute(
                "insert into series (name) values (?) returning id", (name,)
            ).fetchone()[0]
        return self._ids[name]
