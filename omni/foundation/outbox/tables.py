"""The outbox, what tasks have already done, and what failed for good."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Integer, String, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB

from omni.foundation.db.base import created_at_column, id_column, metadata

outbox = Table(
    "outbox",
    metadata,
    id_column(),
    Column(
        "sequence",
        BigInteger,
        nullable=False,
        autoincrement=True,
        server_default=text("nextval('outbox_sequence')"),
        index=True,
    ),
    Column("task", String(100), nullable=False),
    Column("args", JSONB, nullable=False),
    Column("traceparent", String(64)),
    created_at_column(),
    info={"app_grants": "insert"},
)

processed_messages = Table(
    "processed_messages",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("processed_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
    info={"app_grants": "select, insert"},
)

dead_messages = Table(
    "dead_messages",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("task", String(100), nullable=False),
    Column("args", JSONB, nullable=False),
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    info={"app_grants": ""},
)

schedule_runs = Table(
    "schedule_runs",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("due_at", DateTime(timezone=True), primary_key=True),
    info={"app_grants": ""},
)
