"""Sellers, billing profiles, subscriptions, invoices and their lines.

Revision: 0006
Follows: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHANGES = "select, insert, update"
GRANTS = {
    "legal_entities": (CHANGES, "select, insert, update, delete"),
    "invoice_series": (CHANGES, "select, insert, update, delete"),
    "billing_profiles": (CHANGES, "select, insert, update, delete"),
    "subscriptions": (CHANGES, "select, insert, update, delete"),
    "invoices": (CHANGES, "select"),
    "invoice_lines": ("select, insert, delete", "select"),
}
TENANT_TABLES = ("billing_profiles", "subscriptions", "invoices", "invoice_lines")


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_parties()
    _create_subscriptions()
    _create_invoices()
    for table in TENANT_TABLES:
        for statement in isolate(table):
            op.execute(statement)
    for table, (app, system) in GRANTS.items():
        op.execute(f"grant {app} on {table} to omni_app")
        op.execute(f"grant {system} on {table} to omni_system")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _address() -> list[sa.Column[object]]:
    return [
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("street", sa.String(200), nullable=False),
        sa.Column("postcode", sa.String(20), nullable=False),
        sa.Column("city", sa.String(100), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("vat_id", sa.String(20)),
        sa.Column("email", sa.String(254)),
    ]


def _create_parties() -> None:
    op.create_table(
        "legal_entities",
        sa.Column("code", sa.String(50), nullable=False),
        *_address(),
        sa.Column("registration", sa.String(50)),
        sa.Column("iban", sa.String(34)),
        sa.Column("bic", sa.String(11)),
        sa.Column("invoice_prefix", sa.String(10), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_legal_entities")),
        sa.UniqueConstraint("invoice_prefix", name=op.f("uq_legal_entities_invoice_prefix")),
    )
    op.create_index(
        "uq_legal_entities_default",
        "legal_entities",
        ["is_default"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "invoice_series",
        sa.Column("entity_code", sa.String(50), nullable=False),
        sa.Column("series", sa.String(30), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["entity_code"], ["legal_entities.code"], name=op.f("fk_invoice_series_entity_code")),
        sa.PrimaryKeyConstraint("entity_code", "series", name=op.f("pk_invoice_series")),
    )
    op.create_table(
        "billing_profiles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("entity_code", sa.String(50), nullable=False),
        *_address(),
        sa.Column("tax_exempt", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("payment_days", sa.Integer(), nullable=False),
        _moment("test_clock", nullable=True),
        _created_at(),
        sa.CheckConstraint("payment_days >= 0", name=op.f("ck_billing_profiles_payment_days")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_billing_profiles_tenant_id")),
        sa.ForeignKeyConstraint(["entity_code"], ["legal_entities.code"], name=op.f("fk_billing_profiles_entity_code")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_billing_profiles")),
    )


def _create_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("plan_code", sa.String(50), nullable=False),
        sa.Column("plan_version", sa.Integer()),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("interval", sa.String(10), nullable=False),
        sa.Column("anchor_day", sa.Date(), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        _moment("started_at"),
        _moment("trial_ends_at", nullable=True),
        _moment("period_start"),
        _moment("period_end"),
        _moment("billed_until"),
        sa.Column("next_plan_code", sa.String(50)),
        sa.Column("cancel_at_period_end", sa.Boolean(), server_default="false", nullable=False),
        _moment("ended_at", nullable=True),
        _created_at(),
        sa.CheckConstraint(
            "status in ('trialing', 'active', 'past_due', 'suspended', 'paused', 'cancelled')",
            name=op.f("ck_subscriptions_status"),
        ),
        sa.CheckConstraint("interval in ('month', 'quarter', 'year')", name=op.f("ck_subscriptions_interval")),
        sa.CheckConstraint("seats >= 0", name=op.f("ck_subscriptions_seats")),
        sa.CheckConstraint(
            "period_start < period_end and billed_until between period_start and period_end",
            name=op.f("ck_subscriptions_period"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_subscriptions_tenant_id")),
        sa.ForeignKeyConstraint(["plan_code"], ["plans.code"], name=op.f("fk_subscriptions_plan_code")),
        sa.ForeignKeyConstraint(["next_plan_code"], ["plans.code"], name=op.f("fk_subscriptions_next_plan_code")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_subscriptions")),
    )
    op.create_index(
        "uq_subscriptions_running", "subscriptions", ["tenant_id"], unique=True,
        postgresql_where=sa.text("status <> 'cancelled'"),
    )  # fmt: skip


def _create_invoices() -> None:
    op.create_table(
        "invoices",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("status", sa.String(15), nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("entity_code", sa.String(50), nullable=False),
        sa.Column("number", sa.String(40)),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("subscription_id", sa.Uuid()),
        sa.Column("corrects_id", sa.Uuid()),
        _moment("period_start"),
        _moment("period_end"),
        sa.Column("basis", postgresql.JSONB(), nullable=False),
        sa.Column("seller", postgresql.JSONB()),
        sa.Column("buyer", postgresql.JSONB()),
        sa.Column("taxes", postgresql.JSONB(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("net_minor", "tax_minor", "gross_minor")),
        sa.Column("paid_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), server_default="0", nullable=False),
        _moment("issued_at", nullable=True),
        _moment("due_at", nullable=True),
        sa.Column("reminders", sa.Integer(), server_default="0", nullable=False),
        _created_at(),
        sa.CheckConstraint("kind in ('invoice', 'credit_note')", name=op.f("ck_invoices_kind")),
        sa.CheckConstraint(
            "status in ('draft', 'final', 'uncollectible', 'paid', 'void')", name=op.f("ck_invoices_status")
        ),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_invoices_mode")),
        sa.CheckConstraint("net_minor + tax_minor = gross_minor", name=op.f("ck_invoices_sum")),
        sa.CheckConstraint("(number is null) = (issued_at is null)", name=op.f("ck_invoices_number")),
        sa.CheckConstraint("status in ('draft', 'void') or number is not null", name=op.f("ck_invoices_final")),
        sa.CheckConstraint("paid_minor between 0 and greatest(gross_minor, 0)", name=op.f("ck_invoices_paid")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_invoices_tenant_id")),
        sa.ForeignKeyConstraint(["entity_code"], ["legal_entities.code"], name=op.f("fk_invoices_entity_code")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscription_id"], ["subscriptions.tenant_id", "subscriptions.id"],
            name="fk_invoices_subscription",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "corrects_id"], ["invoices.tenant_id", "invoices.id"], name="fk_invoices_corrects"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("tenant_id", "cause", name="uq_invoices_cause"),
        sa.UniqueConstraint("entity_code", "number", name="uq_invoices_number"),
    )  # fmt: skip
    op.create_index("ix_invoices_tenant_id_period_start", "invoices", ["tenant_id", "period_start"])
    op.create_table(
        "invoice_lines",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("card", sa.String(64), nullable=False),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("meter", sa.String(64)),
        sa.Column("filters", postgresql.JSONB(), nullable=False),
        sa.Column("dimensions", postgresql.JSONB(), nullable=False),
        _moment("period_start"),
        _moment("period_end"),
        sa.Column("quantity", sa.Numeric(38, 12), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("steps", postgresql.JSONB(), nullable=False),
        sa.Column("tax_category", sa.String(2), nullable=False),
        sa.Column("tax_rate", sa.Numeric(6, 3), nullable=False),
        sa.CheckConstraint(
            "kind in ('usage', 'fee', 'credit', 'commitment', 'discount', 'correction')",
            name=op.f("ck_invoice_lines_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.id"], name="fk_invoice_lines_invoice"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", "position", name=op.f("pk_invoice_lines")),
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
