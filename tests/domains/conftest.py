"""The control plane, with its plans, and people who use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from omni.domains.plans.seeds import seed
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.kit.clock import ManualClock
from omni.testing.control_plane import ControlPlane, build_control_plane
from tests.domains.people import People


@pytest.fixture(scope="session")
async def seeded(database: Database) -> None:
    async with database.shared() as session:
        await seed(session, datetime.now(UTC))


@pytest.fixture
async def plane(
    database: Database, system_database: SystemDatabase, redis_client: Redis, master_key: MasterKey, seeded: None
) -> ControlPlane:
    """A control plane whose clock stands still."""
    clock = ManualClock(datetime.now(UTC).replace(microsecond=0))
    return build_control_plane(database, system_database, redis_client, master_key, clock)


@pytest.fixture
async def people(plane: ControlPlane) -> AsyncIterator[People]:
    async with plane.client() as client:
        yield People(plane, client)
