"""Budgets, the alerts that were sent, and the credits of wallets."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

from omni.foundation.db.base import created_at_column, id_column, metadata, tenant_id_column

budgets = Table(
    "budgets",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("scope", String(10), nullable=False),
    Column("scope_id", Uuid, nullable=False),
    Column("period", String(10), nullable=False),
    Column("limit_nanos", BigInteger, nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("alerts", ARRAY(Integer), nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    UniqueConstraint("tenant_id", "scope_id", "period", "hard", name="uq_budgets_scope"),
    CheckConstraint("scope in ('tenant', 'project', 'key')", name="scope"),
    CheckConstraint("period in ('day', 'month', 'all')", name="period"),
    CheckConstraint("limit_nanos > 0", name="limit"),
)

budget_alerts = Table(
    "budget_alerts",
    metadata,
    tenant_id_column(),
    Column("budget_id", Uuid, primary_key=True),
    Column("period_start", String(10), primary_key=True),
    Column("percent", Integer, primary_key=True),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id", "budget_id"], ["budgets.tenant_id", "budgets.id"], ondelete="CASCADE"),
    info={"app_grants": "select, insert", "system_grants": "select, insert"},
)

wallet_credits = Table(
    "wallet_credits",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("amount_nanos", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("created_by", Uuid, nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    info={"app_grants": "select, insert", "system_grants": "select, insert"},
)
