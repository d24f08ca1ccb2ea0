"""The price book."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, String, Table

from omni.foundation.db.base import created_at_column, metadata

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
