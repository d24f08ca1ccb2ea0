"""Meters, usage events of the gateway (by the month in their UUIDv7), ingested events (by their month), and rollups."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIT, JSONB

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

SET_BITS = 1024
"""How many different values one row of `event_unique_sets` tells apart."""

meters = Table(
    "meters",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("unit", String(32), nullable=False),
    Column("description", Text, nullable=False),
    Column("scope", String(10), nullable=False, server_default="platform"),
    Column("aggregation", String(16), nullable=False, server_default="sum"),
    Column("event_type", String(200), nullable=False, server_default="omni.request"),
    Column("value_property", String(200)),
    Column("unique_property", String(200)),
    Column("filters", JSONB, nullable=False, server_default="{}"),
    Column(
        "dimensions", ARRAY(Text), nullable=False, server_default=text("'{model,endpoint,project,key,status}'::text[]")
    ),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("rolled_up", Boolean, nullable=False, server_default=text("true")),
    CheckConstraint("scope in ('platform', 'operator')", name="scope"),
    CheckConstraint(
        "aggregation in ('count', 'sum', 'max', 'latest', 'unique', 'average', 'weighted_sum')", name="aggregation"
    ),
    info={"app_grants": "select, insert, update"},
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
    Index(
        "ix_usage_events_uncounted",
        "tenant_id",
        "occurred_at",
        postgresql_where=text("not jsonb_exists_any(quantities, '{requests,cached_requests}'::text[])"),
    ),
    postgresql_partition_by="RANGE (event_id)",
    info={"app_grants": "select", "system_grants": "select, insert, update"},
)

usage_rollups = Table(
    "usage_rollups",
    metadata,
    tenant_id_column(),
    Column("meter", String(64), primary_key=True),
    Column("mode", String(4), primary_key=True),
    Column("starts_at", DateTime(timezone=True), primary_key=True),
    Column("project_id", Uuid, primary_key=True),
    Column("key_id", Uuid, primary_key=True),
    Column("endpoint", String(200), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("status", Integer, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    CheckConstraint("quantity >= 0", name="quantity_not_negative"),
    Index("ix_usage_rollups_starts_at", "starts_at", postgresql_using="brin"),
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

event_keys = Table(
    "event_keys",
    metadata,
    tenant_id_column(),
    Column("digest", Uuid, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("ix_event_keys_seen_at", "seen_at", postgresql_using="brin"),
    info={"app_grants": "select, insert, update", "system_grants": "select, delete"},
)

ingested_events = Table(
    "ingested_events",
    metadata,
    tenant_id_column(),
    Column("occurred_at", DateTime(timezone=True), primary_key=True),
    Column("digest", Uuid, primary_key=True),
    Column("mode", String(4), nullable=False),
    Column("type", String(200), nullable=False),
    Column("source", String(300), nullable=False),
    Column("id", String(200), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    moment_column("voided_at"),
    Index("ix_ingested_events_tenant_id_not_counted", "tenant_id", "occurred_at", postgresql_where=text("not counted")),
    postgresql_partition_by="RANGE (occurred_at)",
    info={"app_grants": "select, insert, update", "system_grants": "select"},
)

event_rollups = Table(
    "event_rollups",
    metadata,
    tenant_id_column(),
    Column("meter", String(64), primary_key=True),
    Column("mode", String(4), primary_key=True),
    Column("starts_at", DateTime(timezone=True), primary_key=True),
    Column("group_id", Uuid, primary_key=True),
    Column("dimensions", JSONB, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("total", Numeric, nullable=False),
    Column("moment_total", Numeric, nullable=False),
    Column("largest", Numeric, nullable=False),
    Column("latest", Numeric, nullable=False),
    Column("latest_at", DateTime(timezone=True), nullable=False),
    Column("latest_key", Text(collation="C"), nullable=False),
    info={"app_grants": "select, insert, update, delete", "system_grants": "select, insert, delete"},
)

unique_values = Table(
    "unique_values",
    metadata,
    tenant_id_column(),
    Column("meter", String(64), primary_key=True),
    Column("value_id", Uuid, primary_key=True),
    Column("ordinal", BigInteger, nullable=False),
    info={"app_grants": "select, insert", "system_grants": "select, insert"},
)

unique_counters = Table(
    "unique_counters",
    metadata,
    tenant_id_column(),
    Column("meter", String(64), primary_key=True),
    Column("next", BigInteger, nullable=False),
    info={"app_grants": "select, insert, update", "system_grants": "select, insert, update"},
)

event_unique_sets = Table(
    "event_unique_sets",
    metadata,
    tenant_id_column(),
    Column("meter", String(64), primary_key=True),
    Column("mode", String(4), primary_key=True),
    Column("starts_at", DateTime(timezone=True), primary_key=True),
    Column("group_id", Uuid, primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("bits", BIT(SET_BITS), nullable=False),
    info={"app_grants": "select, insert, update, delete", "system_grants": "select, insert, delete"},
)

ingest_problems = Table(
    "ingest_problems",
    metadata,
    tenant_id_column(),
    Column("day", Date, primary_key=True),
    Column("code", String(40), primary_key=True),
    Column("type", String(200), primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("sample", Text, nullable=False),
    info={"app_grants": "select, insert, update"},
)
