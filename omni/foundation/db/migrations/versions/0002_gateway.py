"""Models and providers, provider keys, budgets and wallets; prices by model; limits of keys; what events tell besides.

Revision: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

EVERYTHING = "select, insert, update, delete"
TENANT_TABLES = {
    "provider_keys": EVERYTHING,
    "budgets": EVERYTHING,
    "budget_alerts": "select, insert",
    "wallet_credits": "select, insert",
}
OTHER_TABLES = {"providers": EVERYTHING, "models": EVERYTHING}


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    op.add_column("usage_events", sa.Column("attributes", postgresql.JSONB(), nullable=False, server_default="{}"))
    op.add_column("plans", sa.Column("concurrent_requests", sa.BigInteger()))
    for name in ("requests_per_minute", "tokens_per_minute", "concurrent_requests"):
        op.add_column("api_keys", sa.Column(name, sa.BigInteger()))
    op.add_column("api_keys", sa.Column("models", postgresql.ARRAY(sa.Text())))
    op.add_column("tenants", sa.Column("gateway_settings", postgresql.JSONB(), nullable=False, server_default="{}"))
    op.add_column("prices", sa.Column("model", sa.String(200), nullable=False, server_default=""))
    op.drop_constraint("pk_prices", "prices")
    op.create_primary_key("pk_prices", "prices", ["meter", "model", "currency", "valid_from"])
    _create_tables()
    for table in TENANT_TABLES:
        for statement in isolate(table):
            op.execute(statement)
    for table, allowed in {**TENANT_TABLES, **OTHER_TABLES}.items():
        for role in ("omni_app", "omni_system"):
            op.execute(f"grant {allowed} on {table} to {role}")


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _create_tables() -> None:
    op.create_table(
        "providers",
        sa.Column("code", sa.String(50), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("base_url", sa.String(500), nullable=False),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("operations", postgresql.ARRAY(sa.Text())),
        sa.Column("sealed_key", sa.LargeBinary()),
        sa.Column("data_key", sa.LargeBinary()),
        sa.Column("data_key_id", sa.String(64)),
        sa.Column("last4", sa.String(4)),
        _created_at(),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_providers")),
    )
    op.create_table(
        "models",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("route", postgresql.JSONB(), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_models")),
    )
    op.create_table(
        "provider_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("data_key_id", sa.String(64), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_provider_keys_tenant_id")),
        sa.ForeignKeyConstraint(
            ["provider"], ["providers.code"], name=op.f("fk_provider_keys_provider"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "provider", name=op.f("pk_provider_keys")),
    )
    _create_money_tables()


def _create_money_tables() -> None:
    op.create_table(
        "budgets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(10), nullable=False),
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("limit_nanos", sa.BigInteger(), nullable=False),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.Column("alerts", postgresql.ARRAY(sa.Integer()), nullable=False),
        _created_at(),
        sa.CheckConstraint("scope in ('tenant', 'project', 'key')", name=op.f("ck_budgets_scope")),
        sa.CheckConstraint("period in ('day', 'month', 'all')", name=op.f("ck_budgets_period")),
        sa.CheckConstraint("limit_nanos > 0", name=op.f("ck_budgets_limit")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_budgets_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_budgets")),
        sa.UniqueConstraint("tenant_id", "scope_id", "period", "hard", name="uq_budgets_scope"),
    )
    op.create_table(
        "budget_alerts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("budget_id", sa.Uuid(), nullable=False),
        sa.Column("period_start", sa.String(10), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(
            ["tenant_id", "budget_id"],
            ["budgets.tenant_id", "budgets.id"],
            name=op.f("fk_budget_alerts_tenant_id_budget_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "budget_id", "period_start", "percent", name=op.f("pk_budget_alerts")),
    )
    op.create_table(
        "wallet_credits",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("amount_nanos", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_wallet_credits_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_wallet_credits")),
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
