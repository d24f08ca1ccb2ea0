"""The session that bypasses row-level security. Who may import this module is a contract that CI holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from omni.foundation.db.sessions import SystemSession, transaction


class SystemDatabase:
    """Opens sessions as omni_system."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def session(self) -> AsyncIterator[SystemSession]:
        """A transaction that sees all tenants. Raises Unavailable when the database cannot be reached."""
        async with transaction(self._engine) as connection:
            yield SystemSession(connection)

    async def close(self) -> None:
        await self._engine.dispose()
