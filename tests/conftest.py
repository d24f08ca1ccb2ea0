"""Real PostgreSQL and Redis for every test that asks for them: one of each per run, made in a temporary folder."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.services import running
from omni.apps.embedded.launch import free_port
from omni.apps.embedded.postgres import EmbeddedPostgres
from omni.apps.embedded.redis import EmbeddedRedis
from omni.apps.schema import whole_schema
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.migrate import migrate
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase

_RECURSION_LIMIT = sys.getrecursionlimit()


def pytest_collection_finish() -> None:
    """The tests' EVM raises the limit when it is imported; the server lives with the usual one."""
    sys.setrecursionlimit(_RECURSION_LIMIT)


@pytest.fixture(scope="session")
def master_key() -> MasterKey:
    return MasterKey(os.urandom(32))


@pytest.fixture(scope="session")
def database_address(tmp_path_factory: pytest.TempPathFactory, master_key: MasterKey) -> Iterator[DatabaseAddress]:
    """An empty cluster, migrated."""
    folder = tmp_path_factory.mktemp("postgres")
    service = EmbeddedPostgres(folder, free_port(), master_key)
    with running(service, folder) as url:
        address = DatabaseAddress(url, master_key)
        asyncio.run(migrate(address, whole_schema()))
        yield address


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory, master_key: MasterKey) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("redis")
    service = EmbeddedRedis(folder, free_port(), master_key)
    with running(service, folder) as url:
        yield url


@pytest.fixture(scope="session")
async def database(database_address: DatabaseAddress) -> AsyncIterator[Database]:
    """Sessions as omni_app."""
    opened = Database(create_engine(database_address.url(Role.APP), "tests", PoolSettings(size=10, overflow=20)))
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def system_database(database_address: DatabaseAddress) -> AsyncIterator[SystemDatabase]:
    """Sessions as omni_system."""
    opened = SystemDatabase(create_engine(database_address.url(Role.SYSTEM), "tests-system", PoolSettings()))
    yield opened
    await opened.close()


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """An empty Redis."""
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


async def dump_rows(address: DatabaseAddress) -> str:
    """Every row of every table, as text, seen by the administrator."""
    engine = create_async_engine(address.url())
    parts: list[str] = []
    async with engine.connect() as connection:
        names = await connection.scalars(text("select tablename from pg_tables where schemaname = 'public'"))
        for name in names.all():
            rows = await connection.scalars(text(f'select t::text from "{name}" t'))
            parts += rows.all()
    await engine.dispose()
    return "\n".join(parts)
