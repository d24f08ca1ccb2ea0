"""The worker sweeps each tenant's objects once a day, and none of a tenant that is not there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from omni.apps.worker.services import SCHEDULES, SWEEP_OBJECTS
from omni.apps.worker.sweeping import SHARES, of_hour, sweep_task
from omni.foundation.objects import ObjectStore
from omni.foundation.tasks.task import Delivery
from omni.kit.clock import SystemClock
from omni.kit.ids import uuid7
from omni.telemetry.metrics import TaskMetrics
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People


@dataclass
class HourClock:
    at: datetime

    def now(self) -> datetime:
        return self.at


async def test_every_tenant_is_swept_once_a_day(plane: ControlPlane, people: People, tmp_path: Path) -> None:
    tenants = [(await people.owner()).tenant_id for _ in range(3)]
    stranger = uuid7()
    objects = ObjectStore(f"file://{tmp_path}")
    for tenant_id in (*tenants, stranger):
        await objects.put(tenant_id, f"files/{uuid7().hex}", b"left")
    old = (SystemClock().now() - timedelta(days=3)).timestamp()
    for path in tmp_path.rglob("*"):
        os.utime(path, (old, old))
    registry = CollectorRegistry()
    clock = HourClock(SystemClock().now())
    task = sweep_task(SWEEP_OBJECTS, plane.database, plane.system_database, objects, clock, TaskMetrics(registry))
    for _ in range(SHARES):
        due = [tenant_id for tenant_id in tenants if of_hour(tenant_id, clock.at)]
        await task.body(Delivery(uuid7(), {}))
        assert [await objects.names(tenant_id) for tenant_id in due] == [[]] * len(due)
        clock.at += timedelta(hours=1)
    assert [await objects.names(tenant_id) for tenant_id in tenants] == [[], [], []]
    assert len(await objects.names(stranger)) == 1, "a store may be older than the database it is given"
    assert registry.get_sample_value("omni_objects_swept_total") == 3
    (schedule,) = (each for each in SCHEDULES if each.task == SWEEP_OBJECTS)
    assert schedule.every == timedelta(days=1) / SHARES
