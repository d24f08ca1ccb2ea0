"""The price book. It belongs to the platform, not to a tenant."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, DateTime, ForeignKey, Integer, Numeric, String, Table
from sqlalchemy.dialects.postgresql import JSONB

from omni.foundation.db.base import created_at_column, metadata, moment_column

prices = Table(
    "prices",
    metadata,
    Column("meter", String(64), ForeignKey("meters.code"), primary_key=True),
    Column("model", String(200), primary_key=True, server_default=""),
    Column("currency", String(3), primary_key=True),
    Column("valid_from", DateTime(timezone=True), primary_key=True),
    Column("price_nanos", BigInteger, nullable=False),
    Column("per_quantity", BigInteger, nullable=False),
    created_at_column(),
    CheckConstraint("price_nanos >= 0", name="price_not_negative"),
    CheckConstraint("per_quantity > 0", name="per_quantity_positive"),
    CheckConstraint("date_trunc('hour', valid_from, 'UTC') = valid_from", name="from_a_full_hour"),
    info={"app_grants": "select, insert"},
)

products = Table(
    "products",
    metadata,
    Column("code", String(100), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("tax_code", String(100), nullable=False),
    created_at_column(),
    info={"app_grants": "select, insert, update", "system_grants": "select, insert, update"},
)

# What a subscription was sold on: no role may change it, and a trigger says so to those who own it.
plan_versions = Table(
    "plan_versions",
    metadata,
    Column("plan_code", String(50), ForeignKey("plans.code"), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("interval", String(10), nullable=False),
    Column("anchor", String(12), nullable=False),
    Column("trial_days", Integer, nullable=False),
    Column("minimum_commitment_minor", BigInteger, nullable=False),
    Column("tax_behaviour", String(10), nullable=False),
    Column("rate_cards", JSONB, nullable=False),
    moment_column("published_at", nullable=False),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint("interval in ('month', 'quarter', 'year')", name="interval"),
    CheckConstraint("anchor in ('calendar', 'anniversary')", name="anchor"),
    CheckConstraint("trial_days >= 0", name="trial_days"),
    CheckConstraint("minimum_commitment_minor >= 0", name="minimum_commitment"),
    CheckConstraint("tax_behaviour in ('exclusive', 'inclusive')", name="tax_behaviour"),
    info={"app_grants": "select, insert", "system_grants": "select, insert"},
)

coupons = Table(
    "coupons",
    metadata,
    Column("code", String(40), primary_key=True),
    Column("coupon", JSONB, nullable=False),
    Column("max_redemptions", BigInteger),
    Column("redemptions", BigInteger, nullable=False, server_default="0"),
    created_at_column(),
    CheckConstraint("redemptions between 0 and coalesce(max_redemptions, redemptions)", name="redemptions"),
    info={"app_grants": "select, insert, update", "system_grants": "select, insert, update"},
)

tax_rates = Table(
    "tax_rates",
    metadata,
    Column("country", String(2), primary_key=True),
    Column("code", String(100), primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("valid_until", Date),
    Column("percent", Numeric, nullable=False),
    created_at_column(),
    CheckConstraint("percent between 0 and 100", name="percent"),
    CheckConstraint("valid_until > valid_from", name="ends_after_its_start"),
    info={"app_grants": "select, insert, update", "system_grants": "select, insert, update"},
)
