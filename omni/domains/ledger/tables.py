"""Transactions, entries, balances and holds."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)

from omni.domains.ledger.contracts import Account
from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

_ACCOUNTS = ", ".join(f"'{account}'" for account in Account)
_APPEND_ONLY = {"app_grants": "select, insert", "system_grants": "select"}


def _nanos(name: str) -> Column[Decimal]:
    """Whole nano-units of any size."""
    return Column(name, Numeric(38, 0), nullable=False)


ledger_transactions = Table(
    "ledger_transactions",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("currency", String(3), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("reference", String(200), nullable=False),
    moment_column("occurred_at", nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    UniqueConstraint("tenant_id", "kind", "reference", name="uq_ledger_transactions_reference"),
    UniqueConstraint("tenant_id", "id", "currency", name="uq_ledger_transactions_currency"),
    Index("ix_ledger_transactions_tenant_id_occurred_at", "tenant_id", "occurred_at"),
    info=_APPEND_ONLY,
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    tenant_id_column(),
    Column("transaction_id", Uuid, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("account", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    _nanos("amount_nanos"),
    ForeignKeyConstraint(
        ["tenant_id", "transaction_id", "currency"],
        ["ledger_transactions.tenant_id", "ledger_transactions.id", "ledger_transactions.currency"],
        name="fk_ledger_entries_transaction",
    ),
    CheckConstraint(f"account in ({_ACCOUNTS})", name="account"),
    CheckConstraint("amount_nanos <> 0", name="amount"),
    Index("ix_ledger_entries_tenant_id_account", "tenant_id", "account", "currency"),
    info=_APPEND_ONLY,
)

ledger_balances = Table(
    "ledger_balances",
    metadata,
    tenant_id_column(),
    Column("account", String(20), primary_key=True),
    Column("currency", String(3), primary_key=True),
    _nanos("amount_nanos"),
    Column("held_nanos", Numeric(38, 0), nullable=False, server_default="0"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(f"account in ({_ACCOUNTS})", name="account"),
    CheckConstraint("held_nanos >= 0", name="held"),
    info={"app_grants": "select, insert, update", "system_grants": "select"},
)

ledger_holds = Table(
    "ledger_holds",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("account", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    _nanos("amount_nanos"),
    Column("state", String(10), nullable=False),
    moment_column("expires_at", nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(f"account in ({_ACCOUNTS})", name="account"),
    CheckConstraint("amount_nanos > 0", name="amount"),
    CheckConstraint("state in ('open', 'captured', 'released', 'expired')", name="state"),
    info={"app_grants": "select, insert, update", "system_grants": "select"},
)
