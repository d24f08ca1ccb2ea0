"""The database as the settings describe it."""

from __future__ import annotations

from omni.apps.settings import SettingMissing, Settings
from omni.foundation.db.engine import PoolSettings
from omni.foundation.db.roles import DatabaseAddress


def database_address(settings: Settings) -> DatabaseAddress:
    """Raises SettingMissing when no database is configured."""
    if settings.database_url is None:
        raise SettingMissing("OMNI_DATABASE_URL", "start everything with `omni up`, or set it to a PostgreSQL >= 15")
    return DatabaseAddress(settings.database_url.get_secret_value(), settings.load_master_key())


def pool_settings(settings: Settings) -> PoolSettings:
    """Bounds of a process's connection pool."""
    return PoolSettings(
        size=settings.pool_size,
        overflow=settings.pool_overflow,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
