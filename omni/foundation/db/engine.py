"""Engines: one per role and process, sized and with every timeout set."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import URL, ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from omni.foundation.db.statements import described, first_word
from omni.telemetry.local_traces import current_trace
from omni.telemetry.metrics import DatabaseMetrics


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
    _watch(engine, metrics)
    if metrics is not None:
        _watch_pool(engine, name, pool, metrics)
    return engine


def _watch(engine: AsyncEngine, metrics: DatabaseMetrics | None) -> None:
    begun: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def before(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        begun[context] = time.time_ns()

    def after(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        started_nanos = begun.pop(context, None)
        if started_nanos is None:
            return
        if metrics is not None:
            seconds = (time.time_ns() - started_nanos) / 1e9
            metrics.duration.labels(first_word(statement)).observe(seconds)
        if (trace := current_trace()) is not None:
            summary, attributes = described(statement)
            trace.step(summary, "client", started_nanos, attributes)

    def failed(context: ExceptionContext) -> None:
        if metrics is not None:
            metrics.errors.inc()
        if (trace := current_trace()) is not None:
            started_nanos = begun.pop(context.execution_context, None) or time.time_ns()
            summary, attributes = described(context.statement or "CONNECT")
            error = getattr(context.original_exception, "sqlstate", None) or type(context.original_exception).__name__
            trace.step(summary, "client", started_nanos, attributes, error=error)

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    event.listen(engine.sync_engine, "handle_error", failed)


def _watch_pool(engine: AsyncEngine, name: str, settings: PoolSettings, metrics: DatabaseMetrics) -> None:
    pool = cast("AsyncAdaptedQueuePool", engine.sync_engine.pool)
    metrics.connections.labels(name, "used").set_function(pool.checkedout)
    metrics.connections.labels(name, "idle").set_function(pool.checkedin)
    metrics.most_connections.labels(name).set(settings.size + settings.overflow)


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
