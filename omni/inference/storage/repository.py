"""The SQL of what a tenant stores: documents with their vectors, files, datasets, and versions of models."""

from __future__ import annotations

from sqlalchemy import func, select, text

from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import LimitExceeded

QUOTA_RETRY_SECONDS = 3_600
_STORED = text("""
    select (select coalesce(sum(stored_bytes), 0) from collections where tenant_id = :tenant_id)
         + (select coalesce(sum(size_bytes), 0) from files where tenant_id = :tenant_id)
         + (select coalesce(sum(size_bytes), 0) from model_versions where tenant_id = :tenant_id)
         + (select coalesce(sum(size_bytes), 0) from datasets where tenant_id = :tenant_id)
""")


async def lock_storage(session: WriteSession) -> None:
    """Let one transaction at a time add to what the tenant stores; held until it ends."""
    key = f"storage:{session.tenant_id}"
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


async def stored_bytes(session: ReadSession) -> int:
    """What the tenant stores in all."""
    return int(await session.scalar(_STORED, {"tenant_id": session.tenant_id}))


async def require_room(session: ReadSession, more_bytes: int, limit_bytes: int | None) -> None:
    """Raises LimitExceeded `storage_quota_exceeded` when so much more is over the plan's limit (None = there is none).
    Lock the storage before, so that it stays true."""
    if limit_bytes is not None and more_bytes > 0:
        await room_for(session, more_bytes, limit_bytes)


async def room_for(session: ReadSession, more_bytes: int, limit_bytes: int) -> int:
    """How many bytes there is room for, by one count. Raises LimitExceeded `storage_quota_exceeded` when so much more
    (0 = not known yet) has none."""
    stored = await stored_bytes(session)
    if more_bytes > 0 and stored + more_bytes > limit_bytes:
        raise LimitExceeded(
            "storage_quota_exceeded",
            f"This needs {more_bytes} bytes; {stored} of the plan's {limit_bytes} are in use. Delete some or upgrade.",
            retry_after_seconds=QUOTA_RETRY_SECONDS,
            limit_bytes=limit_bytes,
            stored_bytes=stored,
            needed_bytes=more_bytes,
        )
    return max(0, limit_bytes - stored)
