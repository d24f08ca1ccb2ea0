"""Every tenant table × command × tenant context, from the catalogue: a new table joins the matrix by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from omni.apps.schema import whole_schema
from omni.foundation.db.rls import is_tenant_table
from omni.foundation.db.roles import DatabaseAddress, Role

TABLES = sorted(name for name, table in whole_schema().tables.items() if is_tenant_table(table))
CONTEXTS = ("none", "empty", "wrong", "right")
COMMANDS = ("select", "insert", "update", "delete")
DENIED = "42501"

# Values that a check constraint or a foreign key asks for; by type otherwise.
VALUES: dict[str, Any] = {
    "mode": "live", "status": "active", "role": "owner", "plan_code": "free", "content_type": "text/plain",
    "scope": "tenant", "period": "day", "account": "cash", "state": "open",
}  # fmt: skip
OWN_VALUES = {
    ("invoices", "kind"): "'invoice'", ("invoices", "status"): "'draft'", ("invoices", "gross_minor"): "2",
    ("invoice_lines", "kind"): "'usage'", ("subscriptions", "interval"): "'month'",
    ("subscriptions", "period_end"): "now() + interval '1 day'", ("sla_months", "outcome"): "'waiting'",
    ("jobs", "state"): "'succeeded'", ("job_log", "level"): "'info'",
    ("model_versions", "format"): "'onnx'", ("deployment_versions", "role"): "'live'",
}  # fmt: skip
"""Expressions for a column of one table, where those by name or type would break a rule."""
BY_TYPE: dict[str, str] = {
    "uuid": "gen_random_uuid()", "text": "'x'", "character varying": "'x'", "bigint": "1", "integer": "1",
    "timestamp with time zone": "now()", "jsonb": "'{}'::jsonb", "boolean": "false",
    "bytea": "sha256(gen_random_uuid()::text::bytea)", "ARRAY": "'{}'", "smallint": "1", "double precision": "1",
    "numeric": "1", "date": "current_date", "bit": "1::bit(1024)", "tsvector": "'x'::tsvector",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planted:
    """A row of each of two tenants in every tenant table."""

    mine: UUID
    other: UUID
    columns: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
async def admin(database_address: DatabaseAddress) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database_address.url(), poolclass=NullPool)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
async def app(database_address: DatabaseAddress) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database_address.url(Role.APP), poolclass=NullPool)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
async def planted(admin: AsyncEngine) -> AsyncIterator[Planted]:
    found = Planted(uuid4(), uuid4(), {})
    async with admin.begin() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        for table in TABLES:
            found.columns[table] = await expressions(connection, table)
            for tenant_id in (found.mine, found.other):
                await connection.execute(text(insert_statement(table, found.columns[table], tenant_id)))
    yield found
    async with admin.begin() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        for table in TABLES:
            await connection.execute(
                text(f'delete from "{table}" where tenant_id in (:a, :b)'), {"a": found.mine, "b": found.other}
            )


async def expressions(connection: AsyncConnection, table: str) -> dict[str, str]:
    """An SQL expression for each column of a row; a new type or constraint has to be added above."""
    rows = await connection.execute(
        text(
            "select column_name, data_type, udt_name from information_schema.columns "
            "where table_schema = 'public' and table_name = :table and is_generated = 'NEVER' "
            "and is_nullable = 'NO' and column_default is null"
        ),
        {"table": table},
    )
    made = {}
    for name, data_type, udt_name in rows:
        if (table, name) in OWN_VALUES:
            made[name] = OWN_VALUES[table, name]
        elif name in VALUES and data_type not in ("integer", "bigint"):
            made[name] = f"'{VALUES[name]}'"
        elif udt_name == "halfvec":
            made[name] = "array_fill(0.1::real, array[384])::halfvec"
        else:
            made[name] = BY_TYPE[data_type]
    return made


def insert_statement(table: str, columns: dict[str, str], tenant_id: UUID) -> str:
    filled = {**columns, "tenant_id": f"'{tenant_id}'"}
    return f'insert into "{table}" ({", ".join(filled)}) values ({", ".join(filled.values())})'


def test_the_catalogue_has_no_table_outside_the_matrix(planted: Planted) -> None:
    assert set(planted.columns) == set(TABLES)
    assert len(TABLES) >= 9


async def test_the_database_has_no_tenant_table_outside_the_metadata(admin: AsyncEngine) -> None:
    statement = text(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' "
        "where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
    )
    async with admin.connect() as connection:
        assert set((await connection.scalars(statement)).all()) == set(TABLES)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("table", TABLES)
async def test_a_tenant_reaches_its_own_rows_only(
    app: AsyncEngine, planted: Planted, table: str, command: str, context: str
) -> None:
    tenant_of = {"wrong": str(uuid4()), "right": str(planted.mine), "empty": ""}
    async with app.connect() as connection:
        if context != "none":
            await connection.execute(text("select set_config('app.tenant_id', :t, true)"), {"t": tenant_of[context]})
        reached = await try_command(connection, planted, table, command)
        await connection.rollback()
    granted = command in whole_schema().tables[table].info.get("app_grants", "select, insert, update, delete")
    assert reached == (granted and context == "right")


async def try_command(connection: AsyncConnection, planted: Planted, table: str, command: str) -> bool:
    """Whether the command reached my row. Fails when it reached the other tenant's."""
    where = f"where tenant_id in ('{planted.mine}', '{planted.other}')"
    try:
        if command == "insert":
            savepoint = await connection.begin_nested()
            mine = await try_insert(connection, insert_statement(table, planted.columns[table], planted.mine))
            if savepoint.is_active:
                await savepoint.rollback()
            assert not await try_insert(connection, insert_statement(table, planted.columns[table], planted.other))
            return mine
        statements = {
            "select": f'select tenant_id from "{table}" {where}',
            "update": f'update "{table}" set tenant_id = tenant_id {where} returning tenant_id',
            "delete": f'delete from "{table}" {where} returning tenant_id',
        }
        rows = (await connection.scalars(text(statements[command]))).all()
    except IntegrityError:
        return True  # row-level security let it through; a foreign key of the planted row did not
    except DBAPIError as error:
        return not denied(error)
    assert planted.other not in rows
    return planted.mine in rows


async def try_insert(connection: AsyncConnection, statement: str) -> bool:
    try:
        await connection.execute(text(statement))
    except IntegrityError:
        return True
    except DBAPIError as error:
        return not denied(error)
    return True


def denied(error: DBAPIError) -> bool:
    """Row-level security or a missing grant said no; anything else is a fault of the test."""
    if getattr(error.orig, "sqlstate", None) != DENIED:
        raise error
    return True
