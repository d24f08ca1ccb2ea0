"""`unique` meters in a database of their own: the rows of before become sets, and few values become many."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from sqlalchemy import MetaData, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from omni.apps.schema import whole_schema
from omni.domains.metering import service
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.service.ingesting import Reporter, ingest
from omni.foundation.db import migrate as migration
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.migrate import alembic_config, migrate
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database

NOW = datetime(2026, 11, 24, 12, 7, tzinfo=UTC)
SLOT = timedelta(minutes=15)
METER = Meter(
    "u", "u", "one", "", "unique", "test.seen", unique_property="user", dimensions=("region",), scope="operator"
)

Row = tuple[UUID, str, str, datetime, UUID, UUID]
"""Tenant, meter, mode, start, group and value: what `event_uniques` had."""

COLUMNS = ("tenant_id", "meter", "mode", "starts_at", "group_id", "value_id")

_ROWS_OF_BEFORE = text("""
    insert into event_uniques (tenant_id, meter, mode, starts_at, group_id, value_id)
    select * from unnest(cast(:tenant_id as uuid[]), cast(:meter as text[]), cast(:mode as text[]),
                         cast(:starts_at as timestamptz[]), cast(:group_id as uuid[]), cast(:value_id as uuid[]))
""")
_SETS_AS_ROWS = text("""
    select s.tenant_id, s.meter, s.mode, s.starts_at, s.group_id, v.value_id
    from event_unique_sets s
    join unique_values v on (v.tenant_id, v.meter, v.ordinal / 1024) = (s.tenant_id, s.meter, s.chunk)
    where get_bit(s.bits, (v.ordinal % 1024)::int) = 1
""")
_NUMBERED = text("""
    select tenant_id, meter, array_agg(value_id order by ordinal) as values,
           array_agg(ordinal order by ordinal) as ordinals, next
    from unique_values join unique_counters using (tenant_id, meter) group by tenant_id, meter, next
""")


@pytest.fixture
async def address(database_address: DatabaseAddress) -> AsyncIterator[DatabaseAddress]:
    """An empty database, which is not migrated."""
    name = f"unique_{uuid4().hex}"
    engine = create_async_engine(database_address.url(), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"create database {name}"))
        url = make_url(database_address.admin_url).set(database=name)
        yield replace(database_address, admin_url=url.render_as_string(hide_password=False))
        await connection.execute(text(f"drop database {name} with (force)"))
    await engine.dispose()


@asynccontextmanager
async def administrator(address: DatabaseAddress) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(address.url(), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


@asynccontextmanager
async def application(address: DatabaseAddress) -> AsyncIterator[Database]:
    """One connection, which gives a statement 5 s."""
    pool = PoolSettings(size=1, overflow=0, statement_timeout_seconds=5)
    database = Database(create_engine(address.url(Role.APP), "tests", pool))
    yield database
    await database.close()


async def upgrade_to(revision: str, address: DatabaseAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade(connection: Connection, metadata: MetaData) -> None:
        command.upgrade(alembic_config(connection, metadata), revision)

    with monkeypatch.context() as patched:
        patched.setattr(migration, "_upgrade", upgrade)
        assert await migrate(address, whole_schema()) == revision


def event(user: str, at: datetime = NOW) -> dict[str, Any]:
    return {
        "specversion": "1.0", "type": METER.event_type, "source": "s", "id": uuid4().hex, "time": at.isoformat(),
        "data": {"user": user, "region": "eu"},
    }  # fmt: skip


async def report(database: Database, tenant_id: UUID, users: list[str]) -> None:
    async with database.write(tenant_id) as session:
        done = await ingest(session, [event(user) for user in users], Reporter("live", UUID(int=1)), NOW)
        assert done.accepted == len(users)


async def test_the_rows_of_before_become_the_same_sets(
    address: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0009", address, monkeypatch)
    rows = rows_of_before()
    async with administrator(address) as admin:
        await admin.execute(_ROWS_OF_BEFORE, dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
        await migrate(address, whole_schema())
        assert {tuple(row) for row in await admin.execute(_SETS_AS_ROWS)} == rows
        bits = await admin.scalar(text("select sum(bit_count(bits)) from event_unique_sets"))
        assert bits == len(rows), "no bit is set that belongs to no value"
        numbered = (await admin.execute(_NUMBERED)).mappings().all()
    expected = {key: in_order(rows, key) for key in {row[:2] for row in rows}}
    assert {(row["tenant_id"], row["meter"]): row["values"] for row in numbered} == expected
    for row in numbered:
        assert row["ordinals"] == list(range(len(row["values"])))
        assert row["next"] == len(row["values"])


async def test_what_comes_after_the_conversion_is_counted_with_what_came_before(
    address: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0009", address, monkeypatch)
    tenant_id = uuid4()
    before = [(tenant_id, "u", "live", NOW - 4 * SLOT, uuid4(), md5_of(user)) for user in ("ada", "bob")]
    async with administrator(address) as admin:
        await admin.execute(_ROWS_OF_BEFORE, dict(zip(COLUMNS, map(list, zip(*before, strict=True)), strict=True)))
    await migrate(address, whole_schema())
    async with application(address) as database:
        async with database.shared() as session:
            await meters_repository.insert_missing(session, [METER])
        await report(database, tenant_id, ["bob", "eve"])
        async with database.read(tenant_id) as session:
            (found,) = await service.measure(session, METER.code, NOW - 8 * SLOT, NOW + SLOT)
            last = await session.scalar(text("select value_id from unique_values where ordinal = 2"))
    assert last == md5_of("eve")
    assert found.quantity == 3


async def test_a_plan_from_when_there_were_few_values_is_not_used_for_many(address: DatabaseAddress) -> None:
    """Such a plan reads all 10,000 values of the first batch for each value of the second one."""
    await migrate(address, whole_schema())
    tenant_id = uuid4()
    async with application(address) as database, administrator(address) as admin:
        async with database.shared() as session:
            await meters_repository.insert_missing(session, [METER])
        for number in range(16):
            await report(database, tenant_id, [f"early-{number % 4}"])
            if number == 3:
                await admin.execute(text("vacuum analyze unique_values"))
        for batch in range(2):
            await report(database, tenant_id, [f"user-{number + batch * 5_000}" for number in range(10_000)])
        async with database.read(tenant_id) as session:
            (found,) = await service.measure(session, METER.code, NOW - SLOT, NOW + timedelta(minutes=1))
    assert found.quantity == 15_004


def rows_of_before() -> set[Row]:
    """Of two tenants and two meters, with more values than a row of a set tells apart."""
    chance, tenants, groups = random.Random(5), (uuid4(), uuid4()), [uuid4() for _ in range(3)]
    values = [uuid4() for _ in range(3_000)]
    return {
        (
            chance.choice(tenants), chance.choice("uv"), chance.choice(("live", "test")),
            NOW.replace(minute=0) - chance.randrange(40) * SLOT, chance.choice(groups), value,
        )
        for value in chance.choices(values, k=12_000)
    }  # fmt: skip


def in_order(rows: set[Row], key: tuple[UUID, str]) -> list[UUID]:
    """The values of a tenant's meter by when and in which group they came first."""
    first: dict[UUID, tuple[datetime, UUID]] = {}
    for tenant_id, meter, _, starts_at, group_id, value_id in rows:
        if (tenant_id, meter) == key:
            first[value_id] = min(first.get(value_id, (starts_at, group_id)), (starts_at, group_id))
    return sorted(first, key=lambda value_id: (*first[value_id], value_id))


def md5_of(value: str) -> UUID:
    return UUID(bytes=hashlib.md5(value.encode(), usedforsecurity=False).digest())
