"""Meters, usage events (partitioned by the month in their UUIDv7) and hourly rollups."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Integer, String, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from omni.foundation.db.base import created_at_column, id_column, metadata, tenant_id_column

meters = Table(
    "meters",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("unit", String(32), nullable=False),
    Column("description", Text, nullable=False),
    info={"app_grants": "select"},
)

usage_events = Table(
    "usage_events",
    metadata,
    tenant_id_column(),
    Column("event_id", Uuid, primary_key=True),
    Column("project_id", Uuid, nullable=False),
    Column("key_id", Uuid, nullable=False),
    Column("mode", String(4), nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("endpoint", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("status", Integer, nullable=False),
    Column("duration_micros", BigInteger, nullable=False),
    Column("quantities", JSONB, nullable=False),
    Column("attributes", JSONB, nullable=False, server_default="{}"),
    Index("ix_usage_events_tenant_id_occurred_at", "tenant_id", "occurred_at"),
    postgresql_partition_by="RANGE (event_id)",
    info={"app_grants": "select", "system_grants": "select, insert, update"},
)

usage_hourly = Table(
    "usage_hourly",
    metadata,
    tenant_id_column(),
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("mode", String(4), primary_key=True),
    Column("meter", String(64), primary_key=True),
    Column("project_id", Uuid, primary_key=True),
    Column("key_id", Uuid, primary_key=True),
    Column("endpoint", String(200), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    CheckConstraint("quantity >= 0", name="quantity_not_negative"),
    info={"app_grants": "select", "system_grants": "select, insert, update"},
)

usage_rejects = Table(
    "usage_rejects",
    metadata,
    id_column(),
    Column("raw", Text, nullable=False),
    Column("reason", Text, nullable=False),
    created_at_column(),
    info={"app_grants": "", "system_grants": "select, insert"},
)
