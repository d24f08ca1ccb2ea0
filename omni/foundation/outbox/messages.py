"""Enqueueing inside the transaction, and doing a thing once."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from omni.foundation.db.sessions import Session
from omni.foundation.outbox.tables import outbox, processed_messages
from omni.kit.ids import uuid7
from omni.telemetry.traces import current_traceparent

REMEMBER = timedelta(days=7)
"""Far longer than a message can be on its way."""


async def enqueue(session: Session, task: str, **args: UUID | str | int) -> None:
    """Runs `task` once this transaction has committed, and never when it has not. Arguments are ids, not data."""
    values = {name: str(value) if isinstance(value, UUID) else value for name, value in args.items()}
    row = {"id": uuid7(), "task": task, "args": values, "traceparent": current_traceparent()}
    await session.execute(outbox.insert().values(row))


async def first_time(session: Session, message_id: UUID) -> bool:
    """Whether this message has not been processed before; recorded in the transaction that does the work."""
    statement = insert(processed_messages).values(message_id=message_id).on_conflict_do_nothing()
    return (await session.execute(statement)).rowcount == 1


async def forget_processed(session: Session, now: datetime) -> int:
    """Removes the record of messages processed longer than REMEMBER ago; returns how many."""
    statement = delete(processed_messages).where(processed_messages.c.processed_at < now - REMEMBER)
    return (await session.execute(statement)).rowcount
