"""Products, versions of plans, coupons, an operator's own tax rates.

Revision: 0005
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GRANTS = {
    "products": "select, insert, update",
    "plan_versions": "select, insert",
    "coupons": "select, insert, update",
    "tax_rates": "select, insert, update",
}

KEEP_PUBLISHED = """
create function keep_plan_versions() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
    raise exception 'a published plan version cannot be changed; publish the next one' using errcode = '42501';
end$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_tables()
    op.execute(KEEP_PUBLISHED)
    op.execute(
        "create trigger keep_plan_versions before update or delete or truncate on plan_versions "
        "for each statement execute function keep_plan_versions()"
    )
    for table, allowed in GRANTS.items():
        op.execute(f"grant {allowed} on {table} to omni_app, omni_system")


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _create_tables() -> None:
    op.create_table(
        "products",
        sa.Column("code", sa.String(100), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("tax_code", sa.String(100), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_products")),
    )
    op.create_table(
        "plan_versions",
        sa.Column("plan_code", sa.String(50), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("interval", sa.String(10), nullable=False),
        sa.Column("anchor", sa.String(12), nullable=False),
        sa.Column("trial_days", sa.Integer(), nullable=False),
        sa.Column("minimum_commitment_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_behaviour", sa.String(10), nullable=False),
        sa.Column("rate_cards", postgresql.JSONB(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_plan_versions_version")),
        sa.CheckConstraint("interval in ('month', 'quarter', 'year')", name=op.f("ck_plan_versions_interval")),
        sa.CheckConstraint("anchor in ('calendar', 'anniversary')", name=op.f("ck_plan_versions_anchor")),
        sa.CheckConstraint("trial_days >= 0", name=op.f("ck_plan_versions_trial_days")),
        sa.CheckConstraint("minimum_commitment_minor >= 0", name=op.f("ck_plan_versions_minimum_commitment")),
        sa.CheckConstraint("tax_behaviour in ('exclusive', 'inclusive')", name=op.f("ck_plan_versions_tax_behaviour")),
        sa.ForeignKeyConstraint(["plan_code"], ["plans.code"], name=op.f("fk_plan_versions_plan_code")),
        sa.PrimaryKeyConstraint("plan_code", "currency", "version", name=op.f("pk_plan_versions")),
    )
    op.create_table(
        "coupons",
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("coupon", postgresql.JSONB(), nullable=False),
        sa.Column("max_redemptions", sa.BigInteger()),
        sa.Column("redemptions", sa.BigInteger(), server_default="0", nullable=False),
        _created_at(),
        sa.CheckConstraint(
            "redemptions between 0 and coalesce(max_redemptions, redemptions)", name=op.f("ck_coupons_redemptions")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_coupons")),
    )
    op.create_table(
        "tax_rates",
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("code", sa.String(100), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date()),
        sa.Column("percent", sa.Numeric(), nullable=False),
        _created_at(),
        sa.CheckConstraint("percent between 0 and 100", name=op.f("ck_tax_rates_percent")),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_tax_rates_ends_after_its_start")),
        sa.PrimaryKeyConstraint("country", "code", "valid_from", name=op.f("pk_tax_rates")),
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
