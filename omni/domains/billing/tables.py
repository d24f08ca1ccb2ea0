"""Sellers and their series of numbers, what is known of buyers, subscriptions, invoices and their lines."""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from omni.domains.billing.contracts import InvoiceStatus, LineKind, SubscriptionStatus
from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column


def _one_of(column: str, values: Any) -> str:
    """A condition that a column has one of the values of a Literal."""
    return f"{column} in ({', '.join(repr(value) for value in get_args(values))})"


legal_entities = Table(
    "legal_entities",
    metadata,
    Column("code", String(50), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("street", String(200), nullable=False),
    Column("postcode", String(20), nullable=False),
    Column("city", String(100), nullable=False),
    Column("country", String(2), nullable=False),
    Column("vat_id", String(20)),
    Column("registration", String(50)),
    Column("email", String(254)),
    Column("iban", String(34)),
    Column("bic", String(11)),
    Column("invoice_prefix", String(10), nullable=False, unique=True),
    Column("is_default", Boolean, nullable=False),
    created_at_column(),
    Index("uq_legal_entities_default", "is_default", unique=True, postgresql_where=text("is_default")),
    info={"app_grants": "select, insert, update"},
)

invoice_series = Table(
    "invoice_series",
    metadata,
    Column("entity_code", String(50), ForeignKey("legal_entities.code"), primary_key=True),
    Column("series", String(30), primary_key=True),
    Column("last_number", BigInteger, nullable=False),
    info={"app_grants": "select, insert, update"},
)

billing_profiles = Table(
    "billing_profiles",
    metadata,
    tenant_id_column(),
    Column("entity_code", String(50), ForeignKey("legal_entities.code"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("street", String(200), nullable=False),
    Column("postcode", String(20), nullable=False),
    Column("city", String(100), nullable=False),
    Column("country", String(2), nullable=False),
    Column("vat_id", String(20)),
    Column("email", String(254)),
    Column("tax_exempt", Boolean, nullable=False, server_default="false"),
    Column("language", String(2), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("payment_days", Integer, nullable=False),
    moment_column("test_clock"),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("payment_days >= 0", name="payment_days"),
    info={"app_grants": "select, insert, update"},
)

subscriptions = Table(
    "subscriptions",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("plan_code", String(50), ForeignKey("plans.code"), nullable=False),
    Column("plan_version", Integer),
    Column("currency", String(3), nullable=False),
    Column("interval", String(10), nullable=False),
    Column("anchor_day", Date, nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("seats", Integer, nullable=False),
    Column("status", String(10), nullable=False),
    moment_column("started_at", nullable=False),
    moment_column("trial_ends_at"),
    moment_column("period_start", nullable=False),
    moment_column("period_end", nullable=False),
    moment_column("billed_until", nullable=False),
    Column("next_plan_code", String(50), ForeignKey("plans.code")),
    Column("cancel_at_period_end", Boolean, nullable=False, server_default="false"),
    moment_column("ended_at"),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(_one_of("status", SubscriptionStatus), name="status"),
    CheckConstraint("interval in ('month', 'quarter', 'year')", name="interval"),
    CheckConstraint("seats >= 0", name="seats"),
    CheckConstraint("period_start < period_end and billed_until between period_start and period_end", name="period"),
    Index("uq_subscriptions_running", "tenant_id", unique=True, postgresql_where=text("status <> 'cancelled'")),
    info={"app_grants": "select, insert, update"},
)

invoices = Table(
    "invoices",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("cause", String(120), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("status", String(15), nullable=False),
    Column("mode", String(4), nullable=False),
    Column("entity_code", String(50), ForeignKey("legal_entities.code"), nullable=False),
    Column("number", String(40)),
    Column("currency", String(3), nullable=False),
    Column("subscription_id", Uuid),
    Column("corrects_id", Uuid),
    moment_column("period_start", nullable=False),
    moment_column("period_end", nullable=False),
    Column("basis", JSONB, nullable=False),
    Column("seller", JSONB),
    Column("buyer", JSONB),
    Column("taxes", JSONB, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("gross_minor", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False, server_default="0"),
    Column("credited_minor", BigInteger, nullable=False, server_default="0"),
    moment_column("issued_at"),
    moment_column("due_at"),
    Column("reminders", Integer, nullable=False, server_default="0"),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    ForeignKeyConstraint(
        ["tenant_id", "subscription_id"],
        ["subscriptions.tenant_id", "subscriptions.id"],
        name="fk_invoices_subscription",
    ),
    ForeignKeyConstraint(
        ["tenant_id", "corrects_id"], ["invoices.tenant_id", "invoices.id"], name="fk_invoices_corrects"
    ),
    UniqueConstraint("tenant_id", "cause", name="uq_invoices_cause"),
    UniqueConstraint("entity_code", "number", name="uq_invoices_number"),
    CheckConstraint("kind in ('invoice', 'credit_note')", name="kind"),
    CheckConstraint(_one_of("status", InvoiceStatus), name="status"),
    CheckConstraint("mode in ('live', 'test')", name="mode"),
    CheckConstraint("net_minor + tax_minor = gross_minor", name="sum"),
    CheckConstraint("(number is null) = (issued_at is null)", name="number"),
    CheckConstraint("status in ('draft', 'void') or number is not null", name="final"),
    CheckConstraint("paid_minor between 0 and greatest(gross_minor, 0)", name="paid"),
    Index("ix_invoices_tenant_id_period_start", "tenant_id", "period_start"),
    info={"app_grants": "select, insert, update", "system_grants": "select"},
)

invoice_lines = Table(
    "invoice_lines",
    metadata,
    tenant_id_column(),
    Column("invoice_id", Uuid, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("card", String(64), nullable=False),
    Column("product", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("meter", String(64)),
    Column("filters", JSONB, nullable=False),
    Column("dimensions", JSONB, nullable=False),
    moment_column("period_start", nullable=False),
    moment_column("period_end", nullable=False),
    Column("quantity", Numeric(38, 12), nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("amount", Text, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("steps", JSONB, nullable=False),
    Column("tax_category", String(2), nullable=False),
    Column("tax_rate", Numeric(6, 3), nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.id"], name="fk_invoice_lines_invoice"
    ),
    CheckConstraint(_one_of("kind", LineKind), name="kind"),
    info={"app_grants": "select, insert, delete", "system_grants": "select"},
)

coupon_redemptions = Table(
    "coupon_redemptions",
    metadata,
    tenant_id_column(),
    Column("code", String(40), ForeignKey("coupons.code"), primary_key=True),
    moment_column("redeemed_at", nullable=False),
    Column("periods", Integer, nullable=False, server_default="0"),
    moment_column("last_period"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("periods >= 0", name="periods"),
    info={"app_grants": "select, insert, update", "system_grants": "select"},
)
