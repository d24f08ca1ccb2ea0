"""Coupons that tenants have redeemed; wallet credits with priority, expiry and source; automatic top-up.

Revision: 0008
Follows: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from omni.foundation.db.rls import isolate

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

GRANTS = {
    "coupon_redemptions": ("select, insert, update", "select"),
    "wallet_top_ups": ("select, insert, update, delete", "select"),
}


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_redemptions()
    _extend_credits()
    _create_top_ups()
    for table, (app, system) in GRANTS.items():
        for statement in isolate(table):
            op.execute(statement)
        op.execute(f"grant {app} on {table} to omni_app")
        op.execute(f"grant {system} on {table} to omni_system")
    op.execute("grant update on wallet_credits to omni_app")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_redemptions() -> None:
    op.create_table(
        "coupon_redemptions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        _moment("redeemed_at"),
        sa.Column("periods", sa.Integer(), server_default="0", nullable=False),
        _moment("last_period", nullable=True),
        sa.CheckConstraint("periods >= 0", name=op.f("ck_coupon_redemptions_periods")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_coupon_redemptions_tenant_id")),
        sa.ForeignKeyConstraint(["code"], ["coupons.code"], name=op.f("fk_coupon_redemptions_code")),
        sa.PrimaryKeyConstraint("tenant_id", "code", name=op.f("pk_coupon_redemptions")),
    )


def _extend_credits() -> None:
    """Credits of before are purchases that never expire; what was spent is counted against them anew."""
    columns = (
        sa.Column("source", sa.String(10), server_default="purchase", nullable=False),
        sa.Column("priority", sa.Integer(), server_default="100", nullable=False),
        sa.Column("reference", sa.String(200), nullable=True),
        _moment("expires_at", nullable=True),
        sa.Column("used_nanos", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expired_nanos", sa.BigInteger(), server_default="0", nullable=False),
        _moment("expired_at", nullable=True),
    )
    for column in columns:
        op.add_column("wallet_credits", column)
    op.create_check_constraint(
        op.f("ck_wallet_credits_source"), "wallet_credits", "source in ('promotion', 'purchase', 'refund')"
    )
    op.create_check_constraint(
        op.f("ck_wallet_credits_used"), "wallet_credits",
        "used_nanos >= 0 and expired_nanos >= 0 and used_nanos + expired_nanos <= greatest(amount_nanos, 0)",
    )  # fmt: skip
    op.create_unique_constraint("uq_wallet_credits_reference", "wallet_credits", ["tenant_id", "reference"])


def _create_top_ups() -> None:
    op.create_table(
        "wallet_top_ups",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("threshold_nanos", sa.BigInteger(), nullable=False),
        sa.Column("amount_nanos", sa.BigInteger(), nullable=False),
        sa.Column("requested", sa.String(200), nullable=True),
        _moment("requested_at", nullable=True),
        sa.Column("paused", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("threshold_nanos >= 0", name=op.f("ck_wallet_top_ups_threshold")),
        sa.CheckConstraint("amount_nanos > 0", name=op.f("ck_wallet_top_ups_amount")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_wallet_top_ups_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_wallet_top_ups")),
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
