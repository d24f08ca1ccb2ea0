"""What the composition roots may use of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from redis.asyncio import Redis

from omni.contracts.routes import ModelRoute
from omni.domains.models import seeds, service
from omni.domains.models.service import Secrets
from omni.foundation.db.sessions import Database, Session, SystemSession

__all__ = ["Secrets", "list_models", "publish_all", "seed"]


async def seed(session: Session) -> None:
    """Adds the platform's own models where they are missing."""
    await service.seed(session, seeds.ENGINES, seeds.MODELS)


async def list_models(session: Session) -> list[ModelRoute]:
    """Every model, by name."""
    return await service.list_models(session)


async def publish_all(
    database: Database,
    open_session: Callable[[], AbstractAsyncContextManager[SystemSession]],
    redis: Redis,
    secrets: Secrets,
) -> None:
    """Writes the table and every tenant's keys to Redis."""
    async with database.shared() as session:
        await service.publish_table(session, redis, secrets)
    for tenant_id in await service.tenants_with_keys(open_session):
        async with database.read(tenant_id) as inside:
            await service.publish_keys(inside, redis, secrets)
