"""A platform that stands at the beginning of October, and somebody who sells on it."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.kit.clock import ManualClock
from omni.testing.control_plane import ControlPlane, build_control_plane
from tests.domains.billing.conftest import seller
from tests.domains.sla.months import OCTOBER

__all__ = ["seller"]


@pytest.fixture
async def plane(
    database: Database, system_database: SystemDatabase, redis_client: Redis, master_key: MasterKey, seeded: None
) -> ControlPlane:
    return build_control_plane(database, system_database, redis_client, master_key, ManualClock(OCTOBER))
