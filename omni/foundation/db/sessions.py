"""Sessions: one transaction each, and a type that says what it may do.

ReadSession    one tenant, read only
WriteSession   one tenant
SharedSession  no tenant: tables that belong to the platform (users, plans); tenant tables look empty
SystemSession  all tenants; made only by omni.foundation.db.system_session
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, Executable, RowMapping, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from omni.kit.errors import Unavailable

_ENTER_TENANT = text("select set_config('app.tenant_id', :tenant_id, true)")
_ENTER_TENANT_READ_ONLY = text(
    "select set_config('app.tenant_id', :tenant_id, true), set_config('transaction_read_only', 'on', true)"
)
_PLAN_AFRESH = text("select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)")
_LOCK_NOT_AVAILABLE = "55P03"
_GOING_AWAY = {"57P01", "57P02", "57P03"}  # shut down by an administrator, crash, starting up


class Session:
    """A transaction that is open. It commits when its block ends and rolls back when an exception leaves it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self._plans_afresh = False

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return await self.connection.execute(statement, parameters)

    async def all(self, statement: Executable, parameters: Any = None) -> Sequence[RowMapping]:
        """Every row."""
        return (await self.connection.execute(statement, parameters)).mappings().all()

    async def first(self, statement: Executable, parameters: Any = None) -> RowMapping | None:
        """The first row, or None."""
        return (await self.connection.execute(statement, parameters)).mappings().first()

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        """The first column of the first row, or None."""
        return await self.connection.scalar(statement, parameters)

    async def plan_afresh(self) -> None:
        """From here on statements of the transaction are planned for the tables and parameters as they are: a plan that
        was kept from when there were few rows would go through all of them, and one that fits any period would read a
        month's raw events for the minutes at its edges. They are not compiled, which takes longer than to run them."""
        if not self._plans_afresh:
            await self.connection.execute(_PLAN_AFRESH)
            self._plans_afresh = True

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that may fail without losing the rest of the transaction."""
        planned_afresh = self._plans_afresh
        try:
            async with self.connection.begin_nested():
                yield
        except BaseException:
            self._plans_afresh = planned_afresh  # what was set since is gone with the part
            raise


class ReadSession(Session):
    """Reads as one tenant."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID) -> None:
        super().__init__(connection)
        self.tenant_id = tenant_id


class WriteSession(ReadSession):
    """Reads and writes as one tenant."""


class SharedSession(Session):
    """Reads and writes what belongs to no tenant."""

    async def enter_tenant(self, tenant_id: UUID) -> WriteSession:
        """The same transaction, from here on as one tenant."""
        await self.connection.execute(_ENTER_TENANT, {"tenant_id": str(tenant_id)})
        return WriteSession(self.connection, tenant_id)


class SystemSession(Session):
    """Sees every tenant. Its users are a short list that the import contracts hold."""


class Database:
    """Opens sessions as omni_app."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def read(self, tenant_id: UUID) -> AsyncIterator[ReadSession]:
        """A read-only transaction as `tenant_id`. Raises Unavailable when the database cannot be reached."""
        async with transaction(self._engine) as connection:
            await connection.execute(_ENTER_TENANT_READ_ONLY, {"tenant_id": str(tenant_id)})
            yield ReadSession(connection, tenant_id)

    @asynccontextmanager
    async def snapshot(self, tenant_id: UUID) -> AsyncIterator[ReadSession]:
        """As `read`, but every statement sees the same moment: for what compares tables that change together."""
        async with transaction(self._engine.execution_options(isolation_level="REPEATABLE READ")) as connection:
            await connection.execute(_ENTER_TENANT_READ_ONLY, {"tenant_id": str(tenant_id)})
            yield ReadSession(connection, tenant_id)

    @asynccontextmanager
    async def write(self, tenant_id: UUID) -> AsyncIterator[WriteSession]:
        """A transaction as `tenant_id`. Raises Unavailable when the database cannot be reached."""
        async with transaction(self._engine) as connection:
            await connection.execute(_ENTER_TENANT, {"tenant_id": str(tenant_id)})
            yield WriteSession(connection, tenant_id)

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[SharedSession]:
        """A transaction without a tenant. Raises Unavailable when the database cannot be reached."""
        async with transaction(self._engine) as connection:
            yield SharedSession(connection)

    async def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        async with transaction(self._engine) as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        await self._engine.dispose()


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction on a pooled connection; trouble with the server itself becomes Unavailable."""
    try:
        connection = await engine.connect()
    except PoolTimeout as error:
        raise Unavailable(
            "database_busy", "All database connections are in use. Try again.", internal=str(error)
        ) from error
    except (DBAPIError, OSError) as error:
        raise _unavailable(error) from error
    try:
        async with connection.begin():
            yield connection
    except DBAPIError as error:
        if _server_is_gone(error):
            raise _unavailable(error) from error
        raise
    finally:
        await asyncio.shield(connection.close())


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether a statement gave up waiting for a lock."""
    return _sqlstate(error) == _LOCK_NOT_AVAILABLE


def constraint_name(error: IntegrityError) -> str | None:
    """The constraint that refused a row."""
    cause: Any = error.orig.__cause__ if error.orig else None
    return getattr(cause, "constraint_name", None)


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _server_is_gone(error: DBAPIError) -> bool:
    return error.connection_invalidated or _sqlstate(error) in _GOING_AWAY or isinstance(error, InterfaceError)


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable("database_unavailable", "The database cannot be reached now. Try again.", internal=str(error))
