"""Schedules: every worker proposes each due run, the database lets one of them have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from omni.foundation.db.sessions import SystemSession
from omni.foundation.outbox.messages import enqueue
from omni.foundation.outbox.tables import schedule_runs

KEEP_RUNS = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task that runs every so often, on multiples of `every` since the epoch."""

    name: str
    task: str
    every: timedelta

    def due_at(self, now: datetime) -> datetime:
        """The last moment at or before `now` at which it was due."""
        step = int(self.every.total_seconds())
        return datetime.fromtimestamp(int(now.timestamp()) // step * step, UTC)


async def enqueue_due(session: SystemSession, schedules: tuple[Schedule, ...], now: datetime) -> int:
    """Enqueues the schedules that are due and that nobody has taken; the claim and the message commit together."""
    taken = 0
    for schedule in schedules:
        claim = insert(schedule_runs).values(name=schedule.name, due_at=schedule.due_at(now)).on_conflict_do_nothing()
        if (await session.execute(claim)).rowcount:
            await enqueue(session, schedule.task)
            taken += 1
    await session.execute(delete(schedule_runs).where(schedule_runs.c.due_at < now - KEEP_RUNS))
    return taken
