"""Engines: one per role and process, sized and with every timeout set."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from omni.telemetry.metrics import DatabaseMetrics

OPERATIONS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"})


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Bounds of one connection pool; all times in seconds."""

    size: int = 5
    overflow: int = 5
    wait_seconds: float = 5.0
    """How long a caller waits for a connection before it gets 503."""
    recycle_seconds: int = 1800
    statement_timeout_seconds: float = 15.0
    lock_timeout_seconds: float = 5.0
    idle_in_transaction_seconds: float = 30.0
    connect_timeout_seconds: float = 5.0


def create_engine(url: URL, name: str, pool: PoolSettings, metrics: DatabaseMetrics | None = None) -> AsyncEngine:
    """An engine whose connections are checked before use and give up rather than hang; errors do not repeat values.

    `name` shows up in pg_stat_activity, and in `metrics` when they are given. Statement caching stays off behind a
    transaction-mode pooler when the address says `?prepared_statement_cache_size=0`.
    """
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool.size,
        max_overflow=pool.overflow,
        pool_timeout=pool.wait_seconds,
        pool_recycle=pool.recycle_seconds,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "timeout": pool.connect_timeout_seconds,
            "server_settings": {
                "application_name": name,
                "statement_timeout": str(int(pool.statement_timeout_seconds * 1000)),
                "lock_timeout": str(int(pool.lock_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": str(int(pool.idle_in_transaction_seconds * 1000)),
            },
        },
    )
    event.listen(engine.sync_engine, "connect", _read_plain_uuids)
    if metrics is not None:
        _watch(engine, name, pool, metrics)
    return engine


def _watch(engine: AsyncEngine, name: str, settings: PoolSettings, metrics: DatabaseMetrics) -> None:
    begun: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
    pool = cast("AsyncAdaptedQueuePool", engine.sync_engine.pool)

    def before(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        begun[context] = time.perf_counter()

    def after(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        started = begun.pop(context, None)
        if started is not None:
            metrics.duration.labels(_first_word(statement)).observe(time.perf_counter() - started)

    def failed(_context: Any) -> None:
        metrics.errors.inc()

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    event.listen(engine.sync_engine, "handle_error", failed)
    metrics.connections.labels(name, "used").set_function(pool.checkedout)
    metrics.connections.labels(name, "idle").set_function(pool.checkedin)
    metrics.most_connections.labels(name).set(settings.size + settings.overflow)


def _first_word(statement: str) -> str:
    word = statement.lstrip()[:7].partition(" ")[0].partition("\n")[0].upper()
    return word if word in OPERATIONS else "OTHER"


def _read_plain_uuids(connection: Any, _record: object) -> None:
    """Reads ids as uuid.UUID itself: asyncpg's own subclass is one that orjson refuses."""
    connection.run_async(
        lambda driver: driver.set_type_codec(
            "uuid", schema="pg_catalog", format="binary", encoder=_uuid_bytes, decoder=_uuid_from_bytes
        )
    )


def _uuid_bytes(value: UUID | str) -> bytes:
    return (value if isinstance(value, UUID) else UUID(value)).bytes


def _uuid_from_bytes(data: bytes) -> UUID:
    return UUID(bytes=bytes(data))
