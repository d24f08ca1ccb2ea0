"""The task that turns stored vectors into usage: the endpoints say how much, metering keeps it."""

from __future__ import annotations

from omni.domains.metering import facade as metering
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.tasks.task import Delivery, Task
from omni.inference.retrieval import storage
from omni.kit.clock import Clock


def vector_storage_task(name: str, system: SystemDatabase, clock: Clock) -> Task:
    """Records the hours that are over, each tenant in a transaction of its own."""

    async def meter_vectors(_delivery: Delivery) -> None:
        until = storage.metered_until(clock.now())
        async with system.session() as session:
            tenant_ids = await storage.tenants_with_changes(session, until)
        for tenant_id in tenant_ids:
            async with system.session() as session:
                await metering.record(session, await storage.settle(session, tenant_id, until))

    return Task(name, meter_vectors)
