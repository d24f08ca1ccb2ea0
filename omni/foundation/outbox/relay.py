"""Moves committed messages from the outbox to the task queue: at least once, oldest first, woken by NOTIFY."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select

from omni.foundation.db.sessions import SystemSession
from omni.foundation.outbox.tables import dead_messages, outbox

WAKE_CHANNEL = "omni_outbox"
"""PostgreSQL notifies here after each insert into the outbox (trigger in the first migration)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A task to run."""

    id: UUID
    task: str
    args: dict[str, Any]
    traceparent: str | None
    created_at: datetime


async def relay_batch(
    session: SystemSession, send: Callable[[Sequence[Message]], Awaitable[None]], limit: int = 200
) -> int:
    """Hands up to `limit` messages to `send` and removes them; returns how many. A failure keeps them all."""
    chosen = select(outbox).order_by(outbox.c.sequence).limit(limit).with_for_update(skip_locked=True)
    rows = await session.all(chosen)
    if rows:
        await send([Message(r["id"], r["task"], r["args"], r["traceparent"], r["created_at"]) for r in rows])
        await session.execute(delete(outbox).where(outbox.c.id.in_([row["id"] for row in rows])))
    return len(rows)


async def oldest_age_seconds(session: SystemSession) -> float:
    """How long the oldest message has been waiting; 0 when none is."""
    age = await session.scalar(select(func.extract("epoch", func.now() - func.min(outbox.c.created_at))))
    return float(age or 0)


async def waiting_messages(session: SystemSession) -> tuple[int, int]:
    """How many messages wait in the outbox, and how many failed for good."""
    waiting = await session.scalar(select(func.count()).select_from(outbox))
    dead = await session.scalar(select(func.count()).select_from(dead_messages))
    return int(waiting), int(dead)


async def bury(session: SystemSession, message: Message, error: str, attempts: int) -> None:
    """Keeps a message that failed for good, for a person to look at."""
    await session.execute(
        dead_messages.insert().values(
            message_id=message.id, task=message.task, args=message.args, error=error, attempts=attempts
        )
    )
