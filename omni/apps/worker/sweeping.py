"""The task that deletes objects which no row names: each hour a share of the tenants, each tenant once a day."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

import structlog

from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.objects import ObjectStore
from omni.foundation.tasks.task import Delivery, Task
from omni.inference.sweeping.service import Sweeper
from omni.kit.clock import Clock
from omni.telemetry.metrics import TaskMetrics

log = structlog.stdlib.get_logger("omni.worker")

SHARES = 24
_PAGE = 1_000


def sweep_task(
    name: str, database: Database, system: SystemDatabase, objects: ObjectStore, clock: Clock, metrics: TaskMetrics
) -> Task:
    """Sweeps the tenants of this hour's share, in another order each day, so that what one run leaves another begins
    with."""
    sweeper = Sweeper(database, objects)

    async def sweep(_delivery: Delivery) -> None:
        now = clock.now()
        mine = [tenant_id async for tenant_id in _tenants(system) if of_hour(tenant_id, now)]
        random.Random(now.toordinal()).shuffle(mine)  # noqa: S311 - an order, no secret
        swept = await sweeper.sweep(mine, now)
        metrics.swept_objects.inc(swept.deleted)
        if swept.deleted or not swept.complete:
            log.warning("objects_swept", examined=swept.examined, deleted=swept.deleted,
                        deleted_bytes=swept.deleted_bytes, complete=swept.complete)  # fmt: skip

    return Task(name, sweep)


def of_hour(tenant_id: UUID, now: datetime) -> bool:
    """Whether the tenant is in the hour's share."""
    return tenant_id.int % SHARES == now.hour


async def _tenants(system: SystemDatabase) -> AsyncIterator[UUID]:
    after: UUID | None = None
    while page := await tenants.list_tenants(system, after, _PAGE):
        for tenant in page:
            yield tenant.tenant_id
        after = page[-1].tenant_id
