"""The long versions of what CI runs short: `make soak`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from tests.acceptance.platform import Platform, until
from tests.acceptance.test_crash import VICTIMS, Load, no_differences, recorded
from tests.foundation.test_sessions import INSERT, visit

pytestmark = pytest.mark.soak

VISITORS, VISITS = 200, 500
CRASH_ROUNDS = 5


@pytest.mark.timeout(1800)
async def test_a_hundred_thousand_transactions_on_five_connections(database_address: DatabaseAddress) -> None:
    settings = PoolSettings(size=5, overflow=0, wait_seconds=300)
    crowd = Database(create_engine(database_address.url(Role.APP), "soak", settings))
    tenants = [uuid4() for _ in range(100)]
    for tenant in tenants:
        async with crowd.write(tenant) as session:
            await session.execute(INSERT, {"t": tenant, "i": uuid4()})
    foreign = await asyncio.gather(*(visit(crowd, tenants, seed, VISITS) for seed in range(VISITORS)))
    assert sum(foreign) == 0
    for tenant in tenants:
        async with crowd.write(tenant) as session:
            await session.execute(text("delete from collections"))
    await crowd.close()


@pytest.mark.timeout(1800)
def test_death_after_death_loses_nothing(tmp_path: Path) -> None:
    with Platform(tmp_path / "home") as platform:
        with Load(platform) as load:
            for round_number in range(CRASH_ROUNDS):
                for victim in VICTIMS:
                    load.go_on(f"before killing {victim} in round {round_number}")
                    platform.kill(victim)
            load.go_on("at the end")
        until(lambda: load.answered <= recorded(platform), 90, "every answered request is recorded")
        no_differences(platform)
