"""Payments, their events and refunds; customers and saved methods at the providers; webhooks that came."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

payment_customers = Table(
    "payment_customers",
    metadata,
    tenant_id_column(),
    Column("provider", String(20), primary_key=True),
    Column("customer", String(200), nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    Index("ix_payment_customers_customer", "provider", "customer"),
)

payment_methods = Table(
    "payment_methods",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("provider", String(20), nullable=False),
    Column("method", String(200), nullable=False),
    Column("kind", String(50), nullable=False),
    Column("brand", String(50), nullable=False),
    Column("last4", String(200), nullable=False),
    Column("expires", String(10), nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    UniqueConstraint("tenant_id", "provider", "method", name="uq_payment_methods_method"),
)

payments = Table(
    "payments",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("invoice_id", Uuid, nullable=False),
    Column("provider", String(20), nullable=False),
    Column("provider_payment_id", String(200), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("method", String(200)),
    Column("return_url", String(2000), nullable=False),
    Column("payment_status", String(20), nullable=False),
    Column("code", String(200), nullable=False),
    Column("action_url", String(4000), nullable=False),
    Column("received_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("withdrawn_minor", BigInteger, nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("amount_minor > 0", name="amount"),
    Index("ix_payments_tenant_id_invoice_id", "tenant_id", "invoice_id"),
    Index("ix_payments_provider_payment_id", "provider", "provider_payment_id"),
    info={"app_grants": "select, insert, update", "system_grants": "select"},
)

payment_events = Table(
    "payment_events",
    metadata,
    tenant_id_column(),
    Column("payment_id", Uuid, primary_key=True),
    Column("event_id", String(200), primary_key=True),
    Column("kind", String(40), nullable=False),
    moment_column("occurred_at", nullable=False),
    Column("provider_payment_id", String(200), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("code", String(200), nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id", "payment_id"], ["payments.tenant_id", "payments.id"]),
    info={"app_grants": "select, insert", "system_grants": "select"},
)

payment_refunds = Table(
    "payment_refunds",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("payment_id", Uuid, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("created_by", Uuid, nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id", "payment_id"], ["payments.tenant_id", "payments.id"]),
    CheckConstraint("amount_minor > 0", name="amount"),
    info={"app_grants": "select, insert", "system_grants": "select"},
)

payment_deposits = Table(
    "payment_deposits",
    metadata,
    tenant_id_column(),
    Column("payment_id", Uuid, primary_key=True),
    Column("address_index", BigInteger, nullable=False),
    Column("address", String(42), nullable=False),
    Column("asset", String(20), nullable=False),
    Column("units", String(80), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    created_at_column(),
    moment_column("expires_at", nullable=False),
    ForeignKeyConstraint(["tenant_id", "payment_id"], ["payments.tenant_id", "payments.id"]),
    Index("ix_payment_deposits_address", "address"),
    info={"app_grants": "select, insert", "system_grants": "select"},
)
"""`units` are up to 2²⁵⁶: more than any number type of the database holds exactly, so they are digits."""

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("provider", String(20), primary_key=True),
    Column("event_id", String(200), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("reference", String(200), nullable=False),
    created_at_column(),
    info={"app_grants": "select, insert", "system_grants": "select"},
)
