"""Answers that are kept for Idempotency-Key."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from omni.foundation.db.base import created_at_column, metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("sealed_body", LargeBinary),
    created_at_column(),
)
