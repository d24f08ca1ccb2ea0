"""Brings a database to the schema of this release: server checks, roles, extension, Alembic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from omni.foundation.db.roles import DatabaseAddress, Role

MINIMUM_VERSION = 15
MIGRATIONS = Path(__file__).parent / "migrations"
_ROLE_ATTRIBUTES = {
    Role.OWNER: "login nosuperuser nobypassrls nocreatedb nocreaterole",
    Role.APP: "login nosuperuser nobypassrls nocreatedb nocreaterole",
    Role.SYSTEM: "login nosuperuser bypassrls nocreatedb nocreaterole",
}
TEXT_MATCH_IS_LEAKPROOF = "alter function ts_match_vq(tsvector, tsquery) leakproof"
"""Lets the planner use a GIN index under row-level security. Safe: the function's result and errors depend on its
arguments alone and repeat none of them. Without a superuser it is left out, and text search is slower."""
_UNFIT_ROLE = """
    select min(rolname) from pg_roles
    where (rolname in ('omni_owner', 'omni_app') and (rolsuper or rolbypassrls))
       or (rolname = 'omni_system' and (rolsuper or not rolbypassrls))
"""
_ONE_AT_A_TIME = 0x0111_0111  # advisory lock: two migrations never run together


class DatabaseUnfit(Exception):
    """The database server cannot be used; the message is one sentence that says what to do."""


async def migrate(address: DatabaseAddress, metadata: MetaData) -> str:
    """Upgrades to the newest revision and returns it. Raises DatabaseUnfit."""
    await _as_admin(address, _prepare_server)
    owner = create_async_engine(address.url(Role.OWNER), poolclass=NullPool)
    try:
        async with owner.connect() as connection:
            await connection.execute(text("select pg_advisory_lock(:key)"), {"key": _ONE_AT_A_TIME})
            await connection.commit()
            await connection.run_sync(_upgrade, metadata)
            return await connection.run_sync(_current_revision) or ""
    finally:
        await owner.dispose()


async def pending_revision(address: DatabaseAddress) -> str | None:
    """The revision that `omni migrate` would bring, or None when the schema is up to date. Raises DatabaseUnfit."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    found: list[str | None] = []

    async def look(connection: AsyncConnection, _address: DatabaseAddress) -> None:
        found.append(await connection.run_sync(_current_revision))

    await _as_admin(address, look)
    return None if found == [head] else head


def alembic_config(connection: Connection, metadata: MetaData) -> Config:
    """Alembic's configuration without a file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, metadata=metadata)
    return config


async def _as_admin(address: DatabaseAddress, work: Callable[[AsyncConnection, DatabaseAddress], Any]) -> None:
    engine = create_async_engine(address.url(), poolclass=NullPool, connect_args={"timeout": 10})
    try:
        async with engine.begin() as connection:
            await work(connection, address)
    except (OperationalError, OSError) as error:
        raise DatabaseUnfit(f"PostgreSQL cannot be reached: {_cause(error)}. Check OMNI_DATABASE_URL.") from error
    except DBAPIError as error:
        raise DatabaseUnfit(f"PostgreSQL refused to be prepared: {_cause(error)}.") from error
    finally:
        await engine.dispose()


async def _prepare_server(connection: AsyncConnection, address: DatabaseAddress) -> None:
    version = int(await connection.scalar(text("select current_setting('server_version_num')"))) // 10000
    if version < MINIMUM_VERSION:
        raise DatabaseUnfit(f"PostgreSQL {version} is too old: Omni needs {MINIMUM_VERSION} or newer.")
    if not await connection.scalar(text("select 1 from pg_available_extensions where name = 'vector'")):
        raise DatabaseUnfit(
            "This PostgreSQL has no pgvector: install the package for its version "
            f"(Debian and Ubuntu: postgresql-{version}-pgvector)."
        )
    for role, attributes in _ROLE_ATTRIBUTES.items():
        exists = await connection.scalar(text("select 1 from pg_roles where rolname = :name"), {"name": role})
        verb, kept = ("alter", "") if exists else ("create", attributes)
        await connection.execute(text(f"{verb} role {role} {kept} password '{address.password(role)}'"))
    unfit = await connection.scalar(text(_UNFIT_ROLE))
    if unfit:
        raise DatabaseUnfit(
            f"The role {unfit} has rights that it must not have or lacks BYPASSRLS: drop it and try again."
        )
    database = await connection.scalar(text("select quote_ident(current_database())"))
    for statement in (
        "create extension if not exists vector",
        f"grant create, usage on schema public to {Role.OWNER}",
        f"grant usage on schema public to {Role.APP}, {Role.SYSTEM}",
        "revoke create on schema public from public",
        f"revoke temporary on database {database} from public",
        f"grant temporary on database {database} to {Role.SYSTEM}",
    ):
        await connection.execute(text(statement))
    if await connection.scalar(text("select rolsuper from pg_roles where rolname = current_user")):
        await connection.execute(text(TEXT_MATCH_IS_LEAKPROOF))


def _upgrade(connection: Connection, metadata: MetaData) -> None:
    command.upgrade(alembic_config(connection, metadata), "head")


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _cause(error: BaseException) -> str:
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    return str(root).splitlines()[0].rstrip(".") if str(root) else type(root).__name__
