"""What the control-plane commands stand on: sessions on the running platform."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from omni.apps.cli.output import running_settings
from omni.apps.database import database_address
from omni.apps.settings import Settings
from omni.apps.system import open_system_database
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import Role
from omni.foundation.db.sessions import Database

if TYPE_CHECKING:
    from omni.foundation.db.system_session import SystemDatabase

TenantId = Annotated[UUID, typer.Option("--tenant", help="The tenant's id; `omni tenants list` shows them.")]


@dataclass(frozen=True, slots=True)
class Control:
    """Connections of one command."""

    settings: Settings
    database: Database
    system: SystemDatabase


@asynccontextmanager
async def open_control() -> AsyncIterator[Control]:
    """Raises SettingMissing when nothing runs."""
    settings = running_settings()
    address = database_address(settings)
    database = Database(create_engine(address.url(Role.APP), "omni-cli", PoolSettings(size=1)))
    system = open_system_database(address, "cli", PoolSettings(size=1))
    try:
        yield Control(settings, database, system)
    finally:
        await database.close()
        await system.close()
