"""The table of files; their bytes are in the object store."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, String, Table, Uuid

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

files = Table(
    "files",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("project_id", Uuid, nullable=False),
    Column("name", String(255), nullable=False),
    Column("purpose", String(30), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    created_at_column(),
    moment_column("expires_at"),
    CheckConstraint("size_bytes >= 0", name="size"),
    Index("ix_files_expires_at", "expires_at"),
    info={"app_grants": "select, insert, update, delete", "system_grants": "select"},
)
