"""What the gateways know of a tenant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from redis.asyncio import Redis

from omni.contracts.redis_names import INVALIDATE_CHANNEL, response_cache_generation, tenant_snapshot
from omni.domains.tenants import repository
from omni.foundation.db.sessions import SystemSession, WriteSession
from omni.foundation.outbox.messages import enqueue

PUBLISH_SNAPSHOT = "tenants.publish_snapshot"
FORGET_ANSWERS = "tenants.forget_answers"
PAGE = 500


async def enqueue_publish(session: WriteSession) -> None:
    """Publishes the tenant once this transaction has committed."""
    await enqueue(session, PUBLISH_SNAPSHOT, tenant_id=session.tenant_id)


async def publish_snapshot(session: WriteSession, redis: Redis) -> None:
    """Writes the current row to Redis and tells the gateways. The row stays locked meanwhile, so an older snapshot
    never overwrites a newer one."""
    snapshot = await repository.locked_snapshot(session)
    if snapshot is not None:
        await redis.set(tenant_snapshot(snapshot.tenant_id), snapshot.to_json())
        await redis.publish(INVALIDATE_CHANNEL, f"tenant {snapshot.tenant_id}")


async def enqueue_forget_answers(session: WriteSession) -> None:
    """Empties the tenant's response cache once this transaction has committed."""
    await enqueue(session, FORGET_ANSWERS, tenant_id=session.tenant_id)


async def forget_answers(tenant_id: UUID, redis: Redis) -> None:
    """Nothing that was stored before is found any more; it ends with its time."""
    await redis.incr(response_cache_generation(tenant_id))


async def publish_all(open_session: Callable[[], AbstractAsyncContextManager[SystemSession]], redis: Redis) -> int:
    """Writes all tenants to Redis, a page and a transaction at a time; returns how many."""
    count, last = 0, None
    while True:
        async with open_session() as session:
            page = await repository.locked_snapshots(session, last, PAGE)
            for snapshot in page:
                await redis.set(tenant_snapshot(snapshot.tenant_id), snapshot.to_json())
        count += len(page)
        if len(page) < PAGE:
            return count
        last = page[-1].tenant_id
