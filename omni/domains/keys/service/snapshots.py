"""What the gateways know of a key."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from redis.asyncio import Redis

from omni.contracts.redis_names import INVALIDATE_CHANNEL, key_snapshot
from omni.domains.keys import repository
from omni.domains.keys.repository import StoredKey
from omni.foundation.db.sessions import SystemSession, WriteSession
from omni.foundation.outbox.messages import enqueue

PUBLISH_SNAPSHOT = "keys.publish_snapshot"
PAGE = 500


async def enqueue_publish(session: WriteSession, key_id: UUID) -> None:
    """Publishes the key once this transaction has committed."""
    await enqueue(session, PUBLISH_SNAPSHOT, tenant_id=session.tenant_id, key_id=key_id)


async def publish_snapshot(session: WriteSession, redis: Redis, key_id: UUID) -> None:
    """Writes the current row to Redis and tells the gateways. The row stays locked meanwhile, so an older snapshot
    never overwrites a newer one."""
    stored = await repository.locked_snapshot(session, key_id)
    if stored is not None:
        await redis.set(key_snapshot(stored.digest_hex), stored.snapshot.to_json())
        await redis.publish(INVALIDATE_CHANNEL, f"key {stored.digest_hex}")


async def publish_all(open_session: Callable[[], AbstractAsyncContextManager[SystemSession]], redis: Redis) -> int:
    """Writes all keys to Redis, a page and a transaction at a time; returns how many."""
    count = 0
    last: StoredKey | None = None
    while True:
        async with open_session() as session:
            page = await repository.locked_snapshots(session, last, PAGE)
            for stored in page:
                await redis.set(key_snapshot(stored.digest_hex), stored.snapshot.to_json())
        count += len(page)
        if len(page) < PAGE:
            return count
        last = page[-1]
