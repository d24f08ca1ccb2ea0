"""The table of datasets; their rows are in the object store, as Parquet."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from omni.foundation.db.base import created_at_column, id_column, metadata, tenant_id_column

datasets = Table(
    "datasets",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("project_id", Uuid, nullable=False),
    Column("name", String(100), nullable=False),
    Column("source_file_id", Uuid, nullable=False),
    Column("source_sha256", String(64), nullable=False),
    Column("format", String(10), nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("columns", JSONB, nullable=False),
    Column("profile", JSONB, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    created_at_column(),
    CheckConstraint("size_bytes >= 0", name="size"),
    CheckConstraint("row_count > 0", name="row_count"),
    info={"app_grants": "select, insert, delete", "system_grants": "select"},
)
