"""Jobs of the plans domain."""

from __future__ import annotations

from redis.asyncio import Redis

from omni.domains.plans import service
from omni.foundation.db.sessions import Database
from omni.foundation.tasks.task import Delivery, Task


def tasks(database: Database, redis: Redis) -> list[Task]:
    """`plans.publish_snapshot(code)`."""

    async def publish_snapshot(delivery: Delivery) -> None:
        async with database.shared() as session:
            await service.publish_snapshot(session, redis, delivery.args["code"])

    return [Task(service.PUBLISH_SNAPSHOT, publish_snapshot)]
