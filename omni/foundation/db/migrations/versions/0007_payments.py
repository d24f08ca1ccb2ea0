"""Payments, their events and refunds; customers and saved methods at the providers; webhooks that came.

Revision: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from omni.foundation.db.rls import isolate

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

EVERYTHING = "select, insert, update, delete"
TENANT_TABLES = {
    "payment_customers": (EVERYTHING, EVERYTHING),
    "payment_methods": (EVERYTHING, EVERYTHING),
    "payments": ("select, insert, update", "select"),
    "payment_events": ("select, insert", "select"),
    "payment_refunds": ("select, insert", "select"),
    "payment_deposits": ("select, insert", "select"),
}
OTHER_TABLES = {"webhook_events": ("select, insert", "select")}


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_methods()
    _create_payments()
    _create_events()
    _create_deposits()
    for table in TENANT_TABLES:
        for statement in isolate(table):
            op.execute(statement)
    for table, (app, system) in {**TENANT_TABLES, **OTHER_TABLES}.items():
        op.execute(f"grant {app} on {table} to omni_app")
        op.execute(f"grant {system} on {table} to omni_system")


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _create_methods() -> None:
    op.create_table(
        "payment_customers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("customer", sa.String(200), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_payment_customers_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "provider", name=op.f("pk_payment_customers")),
    )
    op.create_index("ix_payment_customers_customer", "payment_customers", ["provider", "customer"])
    op.create_table(
        "payment_methods",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("method", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("brand", sa.String(50), nullable=False),
        sa.Column("last4", sa.String(200), nullable=False),
        sa.Column("expires", sa.String(10), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_payment_methods_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_methods")),
        sa.UniqueConstraint("tenant_id", "provider", "method", name="uq_payment_methods_method"),
    )


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("provider_payment_id", sa.String(200), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("method", sa.String(200)),
        sa.Column("return_url", sa.String(2000), nullable=False),
        sa.Column("payment_status", sa.String(20), nullable=False),
        sa.Column("code", sa.String(200), nullable=False),
        sa.Column("action_url", sa.String(4000), nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_minor", sa.BigInteger(), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_payments_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payments")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payments_amount")),
    )
    op.create_index("ix_payments_tenant_id_invoice_id", "payments", ["tenant_id", "invoice_id"])
    op.create_index("ix_payments_provider_payment_id", "payments", ["provider", "provider_payment_id"])


def _create_events() -> None:
    op.create_table(
        "payment_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_payment_id", sa.String(200), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("code", sa.String(200), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_payment_events_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "payment_id", "event_id", name=op.f("pk_payment_events")),
    )
    op.create_table(
        "payment_refunds",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_payment_refunds_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_refunds")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_refunds_amount")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("event_id", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("provider", "event_id", name=op.f("pk_webhook_events")),
    )


def _create_deposits() -> None:
    op.create_table(
        "payment_deposits",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("address_index", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(42), nullable=False),
        sa.Column("asset", sa.String(20), nullable=False),
        sa.Column("units", sa.String(80), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        _created_at(),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_payment_deposits_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "payment_id", name=op.f("pk_payment_deposits")),
    )
    op.create_index("ix_payment_deposits_address", "payment_deposits", ["address"])
    op.execute("create sequence payment_deposit_index minvalue 0 start 0 maxvalue 2147483647")
    op.execute("grant usage on sequence payment_deposit_index to omni_app")


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
