"""Plans. They belong to the platform, not to a tenant."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Integer, String, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from omni.foundation.db.base import created_at_column, metadata, moment_column

plans = Table(
    "plans",
    metadata,
    Column("code", String(50), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("description", String(500), nullable=False),
    Column("public", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    Column("requests_per_minute", BigInteger),
    Column("request_burst", BigInteger, nullable=False),
    Column("tokens_per_minute", BigInteger),
    Column("requests_per_month", BigInteger),
    Column("compute_ms_per_month", BigInteger),
    Column("storage_bytes", BigInteger),
    Column("models", ARRAY(Text)),
    Column("concurrent_requests", BigInteger),
    created_at_column(),
    moment_column("updated_at", nullable=False),
    CheckConstraint("request_burst >= 1", name="burst"),
    info={"app_grants": "select, insert, update"},
)
