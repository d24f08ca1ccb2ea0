"""How long answers are kept for Idempotency-Key."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete

from omni.foundation.db.sessions import Session
from omni.foundation.http.tables import idempotency_keys

KEEP = timedelta(hours=48)


async def forget_old_answers(session: Session, now: datetime) -> int:
    """Removes answers that are older than KEEP; returns how many."""
    statement = delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEEP)
    return (await session.execute(statement)).rowcount
