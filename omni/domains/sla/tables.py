"""What plans promise, and tenants' months."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from omni.domains.sla.contracts import Outcome
from omni.foundation.db.base import metadata, moment_column, tenant_id_column

sla_tables = Table(
    "sla_tables",
    metadata,
    Column("plan_code", String(50), ForeignKey("plans.code"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("tiers", JSONB, nullable=False),
    moment_column("published_at", nullable=False),
    CheckConstraint("version >= 1", name="version"),
    info={"app_grants": "select, insert", "system_grants": "select, insert"},
)

sla_months = Table(
    "sla_months",
    metadata,
    tenant_id_column(),
    Column("month", Date, primary_key=True),
    moment_column("starts_at", nullable=False),
    moment_column("ends_at", nullable=False),
    Column("slots", Integer, nullable=False),
    Column("availability", Integer, nullable=False),
    Column("plan_code", String(50)),
    Column("table_version", Integer),
    Column("outcome", String(20), nullable=False),
    Column("credit_percent", Integer, nullable=False),
    Column("currency", String(3)),
    Column("base_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
    Column("invoice_id", Uuid),
    Column("evidence", JSONB, nullable=False),
    moment_column("measured_at", nullable=False),
    moment_column("closed_at"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    ForeignKeyConstraint(
        ["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.id"], name="fk_sla_months_invoice"
    ),
    ForeignKeyConstraint(
        ["plan_code", "table_version"], ["sla_tables.plan_code", "sla_tables.version"], name="fk_sla_months_table"
    ),
    CheckConstraint(f"outcome in ({', '.join(repr(each) for each in get_args(Outcome))})", name="outcome"),
    CheckConstraint("(outcome = 'waiting') = (closed_at is null)", name="closed"),
    CheckConstraint("(outcome = 'credited') = (invoice_id is not null)", name="credited"),
    CheckConstraint("availability between 0 and 100000", name="availability"),
    CheckConstraint("credit_percent between 0 and 100", name="percent"),
    CheckConstraint("credit_minor between 0 and base_minor", name="credit"),
    Index("ix_sla_months_waiting", "tenant_id", postgresql_where=text("outcome = 'waiting'")),
    info={"app_grants": "select, insert, update", "system_grants": "select"},
)
