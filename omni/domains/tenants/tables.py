"""Tenants and what is in them; all behind row-level security, also the tenants themselves."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from omni.foundation.authz import Role
from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

_ROLES = ", ".join(f"'{role}'" for role in Role)

tenants = Table(
    "tenants",
    metadata,
    tenant_id_column(),
    Column("name", String(100), nullable=False),
    Column("plan_code", String(50), ForeignKey("plans.code"), nullable=False),
    Column("status", String(20), nullable=False, server_default="active"),
    Column("gateway_settings", JSONB, nullable=False, server_default="{}"),
    created_at_column(),
    CheckConstraint("status in ('active', 'suspended')", name="status"),
    info={"app_grants": "select, insert, update"},
)

projects = Table(
    "projects",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("name", String(100), nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    UniqueConstraint("tenant_id", "name"),
)

members = Table(
    "members",
    metadata,
    tenant_id_column(),
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("role", String(20), nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(f"role in ({_ROLES})", name="role"),
    Index("ix_members_user_id", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("email", String(254), nullable=False),
    Column("role", String(20), nullable=False),
    Column("invited_by", Uuid, ForeignKey("users.id"), nullable=False),
    created_at_column(),
    moment_column("expires_at", nullable=False),
    moment_column("accepted_at"),
    moment_column("revoked_at"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(f"role in ({_ROLES})", name="role"),
    Index(
        "uq_invitations_pending",
        "tenant_id",
        "email",
        unique=True,
        postgresql_where=text("accepted_at is null and revoked_at is null"),
    ),
)
