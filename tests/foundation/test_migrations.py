"""The migrations lead to the schema that the code declares: tables, grants, and a database that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from omni.apps.schema import whole_schema
from omni.foundation.db import migrate as migration
from omni.foundation.db.migrate import DatabaseUnfit, migrate, pending_revision
from omni.foundation.db.roles import DatabaseAddress

EVERYTHING = "select, insert, update, delete"


def is_partition(name: str | None) -> bool:
    return bool(name and name.startswith(("usage_events_", "ingested_events_")))


def compare(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "include_name": lambda name, kind, parent: (
                not is_partition(name if kind == "table" else parent.get("table_name"))
            ),
        },
    )
    found: list[Any] = compare_metadata(context, whole_schema())
    return found


async def on_admin(address: DatabaseAddress, work: Any) -> Any:
    engine = create_async_engine(address.url(), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await work(connection)
    finally:
        await engine.dispose()


async def test_the_migrated_schema_is_the_declared_one(database_address: DatabaseAddress) -> None:
    async def work(connection: AsyncConnection) -> list[Any]:
        return await connection.run_sync(compare)

    assert await on_admin(database_address, work) == []


async def test_the_granted_rights_are_the_declared_ones(database_address: DatabaseAddress) -> None:
    async def work(connection: AsyncConnection) -> set[tuple[str, str, str]]:
        rows = await connection.execute(
            text(
                "select grantee, table_name, lower(privilege_type) from information_schema.role_table_grants "
                "where grantee in ('omni_app', 'omni_system') and table_schema = 'public'"
            )
        )
        return {(row[0], row[1], row[2]) for row in rows}

    declared = {
        (role, name, right)
        for name, table in whole_schema().tables.items()
        for role, key in (("omni_app", "app_grants"), ("omni_system", "system_grants"))
        for right in table.info.get(key, EVERYTHING).split(", ")
        if right
    }
    assert await on_admin(database_address, work) == declared


async def test_migrating_again_changes_nothing(database_address: DatabaseAddress) -> None:
    assert await pending_revision(database_address) is None
    newest = max(file.name for file in Path(migration.__file__).with_name("migrations").glob("versions/0*.py"))
    assert await migrate(database_address, whole_schema()) == newest[:4]


async def test_an_old_server_is_refused(database_address: DatabaseAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "MINIMUM_VERSION", 99)
    with pytest.raises(DatabaseUnfit, match=r"^PostgreSQL 18 is too old: Omni needs 99 or newer\.$"):
        await migrate(database_address, whole_schema())


async def test_a_server_without_pgvector_is_refused(database_address: DatabaseAddress) -> None:
    async def hide(connection: AsyncConnection) -> None:
        await connection.execute(text("alter database omni set extension_control_path = '/nowhere'"))
        await connection.commit()

    async def show(connection: AsyncConnection) -> None:
        await connection.execute(text("alter database omni reset extension_control_path"))
        await connection.commit()

    await on_admin(database_address, hide)
    try:
        with pytest.raises(DatabaseUnfit, match="has no pgvector: install the package"):
            await migrate(database_address, whole_schema())
    finally:
        await on_admin(database_address, show)
