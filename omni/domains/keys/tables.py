"""API keys."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

PROJECT_CONSTRAINT = "fk_api_keys_project"

api_keys = Table(
    "api_keys",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("project_id", Uuid, nullable=False),
    Column("active_project_id", Uuid, Computed("case when revoked_at is null then project_id end", persisted=True)),
    Column("name", String(100), nullable=False),
    Column("mode", String(4), nullable=False),
    Column("prefix", String(14), nullable=False),
    Column("last4", String(4), nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("networks", ARRAY(Text), nullable=False),
    Column("created_by", Uuid, ForeignKey("users.id")),
    created_at_column(),
    moment_column("expires_at"),
    moment_column("revoked_at"),
    Column("rotated_to", Uuid),
    moment_column("overlap_until"),
    moment_column("last_used_at"),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrent_requests", BigInteger),
    Column("models", ARRAY(Text)),
    ForeignKeyConstraint(
        ["tenant_id", "active_project_id"], ["projects.tenant_id", "projects.id"], name=PROJECT_CONSTRAINT
    ),
    ForeignKeyConstraint(["tenant_id", "rotated_to"], ["api_keys.tenant_id", "api_keys.id"]),
    CheckConstraint("mode in ('live', 'test')", name="mode"),
    CheckConstraint("octet_length(sha256) = 32", name="sha256"),
    CheckConstraint("(rotated_to is null) = (overlap_until is null)", name="rotation"),
    info={"app_grants": "select, insert, update"},
)
