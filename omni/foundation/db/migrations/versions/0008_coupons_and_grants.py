"""Coupons that tenants have redeemed.

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
}


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_redemptions()
    for table, (app, system) in GRANTS.items():
        for statement in isolate(table):
            op.execute(statement)
        op.execute(f"grant {app} on {table} to omni_app")
        op.execute(f"grant {system} on {table} to omni_system")


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


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
