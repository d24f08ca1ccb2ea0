"""Providers, models, and tenants' own provider keys."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, LargeBinary, String, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from omni.foundation.db.base import created_at_column, metadata, tenant_id_column

providers = Table(
    "providers",
    metadata,
    Column("code", String(50), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("base_url", String(500), nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("operations", ARRAY(Text)),
    Column("sealed_key", LargeBinary),
    Column("data_key", LargeBinary),
    Column("data_key_id", String(64)),
    Column("last4", String(4)),
    created_at_column(),
)

models = Table(
    "models",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("route", JSONB, nullable=False),
    created_at_column(),
)

provider_keys = Table(
    "provider_keys",
    metadata,
    tenant_id_column(),
    Column("provider", String(50), ForeignKey("providers.code", ondelete="CASCADE"), primary_key=True),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("data_key", LargeBinary, nullable=False),
    Column("data_key_id", String(64), nullable=False),
    Column("last4", String(4), nullable=False),
    Column("created_by", Uuid, nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
)
