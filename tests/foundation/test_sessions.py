"""Sessions say what they may do, and the pool never mixes tenants up."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.locks import try_lock
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.kit.errors import Unavailable

INSERT = text("insert into collections (tenant_id, id, name, embedding_model) values (:t, :i, 'x', 'm')")


async def test_a_read_session_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with database.read(uuid4()) as session:
            await session.execute(INSERT, {"t": session.tenant_id, "i": uuid4()})


async def test_a_write_session_cannot_write_for_another_tenant(database: Database) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.write(uuid4()) as session:
            await session.execute(INSERT, {"t": uuid4(), "i": uuid4()})


async def test_a_snapshot_sees_one_moment_and_cannot_write(database: Database) -> None:
    tenant_id, count = uuid4(), text("select count(*) from collections")
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with database.snapshot(tenant_id) as session:
            await session.execute(INSERT, {"t": tenant_id, "i": uuid4()})
    async with database.snapshot(tenant_id) as whole, database.read(tenant_id) as each:
        assert (await whole.scalar(count), await each.scalar(count)) == (0, 0)
        async with database.write(tenant_id) as writing:
            await writing.execute(INSERT, {"t": tenant_id, "i": uuid4()})
        assert (await whole.scalar(count), await each.scalar(count)) == (0, 1)


async def test_a_savepoint_fails_alone(database: Database) -> None:
    async with database.write(uuid4()) as session:
        with pytest.raises(DBAPIError):
            async with session.savepoint():
                await session.execute(text("select 1/0"))
        assert await session.scalar(text("select 1")) == 1


async def test_an_unreachable_database_is_unavailable(database_address: DatabaseAddress) -> None:
    url = database_address.url(Role.APP).set(port=1)
    nowhere = Database(create_engine(url, "tests", PoolSettings(connect_timeout_seconds=1)))
    with pytest.raises(Unavailable) as caught:
        await nowhere.ping()
    assert caught.value.code == "database_unavailable"


async def test_a_pool_that_is_used_up_is_unavailable(database_address: DatabaseAddress) -> None:
    tiny = Database(
        create_engine(database_address.url(Role.APP), "t", PoolSettings(size=1, overflow=0, wait_seconds=0.1))
    )
    async with tiny.shared():
        with pytest.raises(Unavailable) as caught:
            await tiny.ping()
    assert caught.value.code == "database_busy"
    await tiny.close()


async def test_one_process_holds_a_lock(system_database: SystemDatabase) -> None:
    async with system_database.session() as one, system_database.session() as two:
        assert await try_lock(one, "test")
        assert not await try_lock(two, "test")
    async with system_database.session() as one:
        assert await try_lock(one, "test")


async def test_connections_never_carry_a_tenant_over(database_address: DatabaseAddress) -> None:
    """Many tenants on few connections, with errors and cancellations at random: no foreign row, ever."""
    crowd = Database(
        create_engine(database_address.url(Role.APP), "t", PoolSettings(size=5, overflow=0, wait_seconds=60))
    )
    tenants = [uuid4() for _ in range(20)]
    for tenant in tenants:
        async with crowd.write(tenant) as session:
            await session.execute(INSERT, {"t": tenant, "i": uuid4()})
    foreign = await asyncio.gather(*(visit(crowd, tenants, seed, 50) for seed in range(40)))
    assert sum(foreign) == 0
    for tenant in tenants:
        async with crowd.write(tenant) as session:
            await session.execute(text("delete from collections"))
    await crowd.close()


async def visit(crowd: Database, tenants: list[UUID], seed: int, times: int) -> int:
    """Transactions as random tenants, with errors and cancellations; returns how many foreign rows were seen."""
    chance, foreign = random.Random(seed), 0
    for _ in range(times):
        tenant = chance.choice(tenants)
        try:
            async with asyncio.timeout(chance.choice((None, None, 0.002))):
                foreign += await _look(crowd, tenant, chance.random())
        except (TimeoutError, DBAPIError):
            continue
    return foreign


async def _look(crowd: Database, tenant: UUID, luck: float) -> int:
    if luck < 0.15:
        async with crowd.shared() as shared:
            return len(await shared.all(text("select tenant_id from collections")))
    async with crowd.read(tenant) as session:
        rows = await session.all(text("select tenant_id from collections"))
        if luck < 0.3:
            await session.execute(text("select 1/0"))
        foreign = sum(bool(row["tenant_id"] != tenant) for row in rows)
        return foreign + (len(rows) != 1)


async def test_a_transaction_is_planned_afresh_once_and_until_it_ends(database: Database) -> None:
    setting = text("select current_setting('plan_cache_mode')")
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    async with database.shared() as session:
        with suppress(DBAPIError):
            async with session.savepoint():
                await session.plan_afresh()
                await session.execute(text("select 1 / 0"))
        assert await session.scalar(setting) == "auto"
        engine = database._engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        for _ in range(3):
            await session.plan_afresh()
        event.remove(engine, "before_cursor_execute", note)
        assert await session.scalar(setting) == "force_custom_plan"
    assert len(asked) == 1
    async with database.shared() as session:
        assert await session.scalar(setting) == "auto"
