"""Jobs of the keys domain."""

from __future__ import annotations

from redis.asyncio import Redis

from omni.domains.keys.service import snapshots
from omni.foundation.db.sessions import Database
from omni.foundation.tasks.task import Delivery, Task


def tasks(database: Database, redis: Redis) -> list[Task]:
    """`keys.publish_snapshot(tenant_id, key_id)`."""

    async def publish_snapshot(delivery: Delivery) -> None:
        async with database.write(delivery.uuid("tenant_id")) as session:
            await snapshots.publish_snapshot(session, redis, delivery.uuid("key_id"))

    return [Task(snapshots.PUBLISH_SNAPSHOT, publish_snapshot)]
