"""Where the composition roots open the database past row-level security: for the worker, the console's look-up of a
user's tenants, the first start and `omni verify`."""

from __future__ import annotations

from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.system_session import SystemDatabase
from omni.telemetry.metrics import DatabaseMetrics


def open_system_database(
    address: DatabaseAddress, process: str, pool: PoolSettings, metrics: DatabaseMetrics | None = None
) -> SystemDatabase:
    """Sessions as omni_system; the pool is kept small."""
    return SystemDatabase(create_engine(address.url(Role.SYSTEM), f"omni-{process}-system", pool, metrics))
