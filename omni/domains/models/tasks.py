"""Jobs of the models domain."""

from __future__ import annotations

from redis.asyncio import Redis

from omni.domains.models import service
from omni.domains.models.service import Secrets
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.tasks.task import Delivery, Task


def tasks(database: Database, redis: Redis, master_key: MasterKey) -> list[Task]:
    """`models.publish_table()`, `models.publish_keys(tenant_id)`."""
    secrets = Secrets(master_key)

    async def publish_table(_delivery: Delivery) -> None:
        async with database.shared() as session:
            await service.publish_table(session, redis, secrets)

    async def publish_keys(delivery: Delivery) -> None:
        async with database.read(delivery.uuid("tenant_id")) as session:
            await service.publish_keys(session, redis, secrets)

    return [Task(service.PUBLISH_TABLE, publish_table), Task(service.PUBLISH_KEYS, publish_keys)]
