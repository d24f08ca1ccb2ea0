"""Budgets, the alerts that were sent, the credits of wallets and how they are topped up."""

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

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

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

# What takes credit back is a row below zero. Nobody changes the amount of a row: it is used up, or expires.
wallet_credits = Table(
    "wallet_credits",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("amount_nanos", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("created_by", Uuid, nullable=False),
    created_at_column(),
    Column("source", String(10), nullable=False, server_default="purchase"),
    Column("priority", Integer, nullable=False, server_default="100"),
    Column("reference", String(200)),
    moment_column("expires_at"),
    Column("used_nanos", BigInteger, nullable=False, server_default="0"),
    Column("expired_nanos", BigInteger, nullable=False, server_default="0"),
    moment_column("expired_at"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    UniqueConstraint("tenant_id", "reference", name="uq_wallet_credits_reference"),
    CheckConstraint("source in ('promotion', 'purchase', 'refund')", name="source"),
    CheckConstraint(
        "used_nanos >= 0 and expired_nanos >= 0 and used_nanos + expired_nanos <= greatest(amount_nanos, 0)",
        name="used",
    ),
    info={"app_grants": "select, insert, update", "system_grants": "select, insert"},
)

wallet_top_ups = Table(
    "wallet_top_ups",
    metadata,
    tenant_id_column(),
    Column("threshold_nanos", BigInteger, nullable=False),
    Column("amount_nanos", BigInteger, nullable=False),
    Column("requested", String(200)),
    moment_column("requested_at"),
    Column("paused", Boolean, nullable=False, server_default="false"),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("threshold_nanos >= 0", name="threshold"),
    CheckConstraint("amount_nanos > 0", name="amount"),
    info={"app_grants": "select, insert, update, delete", "system_grants": "select"},
)
