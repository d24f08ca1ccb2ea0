"""Locks that a transaction holds in the database, so that one of several processes does a thing."""

from __future__ import annotations

from sqlalchemy import text

from omni.foundation.db.sessions import Session


async def try_lock(session: Session, name: str) -> bool:
    """Whether this transaction now holds the lock; it is let go at its end."""
    statement = text("select pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    return bool(await session.scalar(statement, {"name": name}))
