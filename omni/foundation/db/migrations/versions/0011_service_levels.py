"""Service levels: what plans promise, tenants' months, credits on invoices, and an index of what is in no rollup.

Revision: 0011
Follows: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LINE_KINDS = "kind in ('usage', 'fee', 'credit', 'commitment', 'discount', 'correction', 'sla_credit')"
OUTCOMES = "outcome in ('met', 'no_sla', 'waiting', 'nothing_to_credit', 'credited')"
GRANTS = {
    "sla_tables": ("select, insert", "select, insert"),
    "sla_months": ("select, insert, update", "select"),
}


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_tables()
    for statement in isolate("sla_months"):
        op.execute(statement)
    for table, (app, system) in GRANTS.items():
        op.execute(f"grant {app} on {table} to omni_app")
        op.execute(f"grant {system} on {table} to omni_system")
    op.drop_constraint(op.f("ck_invoice_lines_kind"), "invoice_lines", type_="check")
    op.create_check_constraint(op.f("ck_invoice_lines_kind"), "invoice_lines", LINE_KINDS)
    # While it is built the drain waits, and events wait in the stream.
    op.create_index(
        "ix_usage_events_uncounted", "usage_events", ["tenant_id", "occurred_at"],
        postgresql_where=sa.text("not jsonb_exists_any(quantities, '{requests,cached_requests}'::text[])"),
    )  # fmt: skip


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_tables() -> None:
    op.create_table(
        "sla_tables",
        sa.Column("plan_code", sa.String(50), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tiers", postgresql.JSONB(), nullable=False),
        _moment("published_at"),
        sa.CheckConstraint("version >= 1", name=op.f("ck_sla_tables_version")),
        sa.ForeignKeyConstraint(["plan_code"], ["plans.code"], name=op.f("fk_sla_tables_plan_code")),
        sa.PrimaryKeyConstraint("plan_code", "version", name=op.f("pk_sla_tables")),
    )
    op.create_table(
        "sla_months",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        _moment("starts_at"),
        _moment("ends_at"),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("availability", sa.Integer(), nullable=False),
        sa.Column("plan_code", sa.String(50), nullable=True),
        sa.Column("table_version", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("credit_percent", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=True),
        sa.Column("base_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        _moment("measured_at"),
        _moment("closed_at", nullable=True),
        sa.CheckConstraint(OUTCOMES, name=op.f("ck_sla_months_outcome")),
        sa.CheckConstraint("(outcome = 'waiting') = (closed_at is null)", name=op.f("ck_sla_months_closed")),
        sa.CheckConstraint("(outcome = 'credited') = (invoice_id is not null)", name=op.f("ck_sla_months_credited")),
        sa.CheckConstraint("availability between 0 and 100000", name=op.f("ck_sla_months_availability")),
        sa.CheckConstraint("credit_percent between 0 and 100", name=op.f("ck_sla_months_percent")),
        sa.CheckConstraint("credit_minor between 0 and base_minor", name=op.f("ck_sla_months_credit")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_sla_months_tenant_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.id"], name="fk_sla_months_invoice"
        ),
        sa.ForeignKeyConstraint(
            ["plan_code", "table_version"], ["sla_tables.plan_code", "sla_tables.version"], name="fk_sla_months_table"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "month", name=op.f("pk_sla_months")),
    )
    op.create_index(
        "ix_sla_months_waiting", "sla_months", ["tenant_id"], postgresql_where=sa.text("outcome = 'waiting'")
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
