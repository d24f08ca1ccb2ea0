"""Jobs of the pricing domain."""

from __future__ import annotations

from redis.asyncio import Redis

from omni.domains.pricing.service import prices
from omni.foundation.db.sessions import Database
from omni.foundation.tasks.task import Delivery, Task


def tasks(database: Database, redis: Redis) -> list[Task]:
    """`pricing.publish_prices()`."""

    async def publish_prices(_delivery: Delivery) -> None:
        async with database.shared() as session:
            await prices.publish_prices(session, redis)

    return [Task(prices.PUBLISH_PRICES, publish_prices)]
