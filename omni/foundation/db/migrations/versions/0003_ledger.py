"""The double-entry books: transactions, entries, balances, holds; append-only, and each transaction adds up to zero.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from omni.foundation.db.rls import isolate

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ACCOUNTS = (
    "account in ('receivable', 'cash', 'wallet', 'revenue', 'deferred', 'tax', 'bad_debt', 'promotion', "
    "'provider_cost', 'provider_payable', 'commission', 'payout')"
)
GRANTS = {
    "ledger_transactions": "select, insert",
    "ledger_entries": "select, insert",
    "ledger_balances": "select, insert, update",
    "ledger_holds": "select, insert, update",
}
APPEND_ONLY = ("ledger_transactions", "ledger_entries")

REFUSE_CHANGES = """
create function refuse_changes() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, lower(tg_op) using errcode = 'restrict_violation';
end $$
"""

# Deferred to the commit: entries come row by row.
CHECK_BALANCE = """
create function check_ledger_transaction() returns trigger language plpgsql as $$
declare
    total numeric;
begin
    select sum(amount_nanos) into total from ledger_entries
    where tenant_id = new.tenant_id and transaction_id = new.transaction_id;
    if total <> 0 then
        raise exception 'ledger transaction % adds up to %, not to zero', new.transaction_id, total
            using errcode = 'check_violation', constraint = 'ledger_transaction_balances';
    end if;
    return null;
end $$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_books()
    _create_balances()
    for table, allowed in GRANTS.items():
        for statement in isolate(table):
            op.execute(statement)
        op.execute(f"grant {allowed} on {table} to omni_app")
        op.execute(f"grant select on {table} to omni_system")
    op.execute(REFUSE_CHANGES)
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger {table}_append_only before update or delete on {table} "
            "for each row execute function refuse_changes()"
        )
        op.execute(
            f"create trigger {table}_no_truncate before truncate on {table} "
            "for each statement execute function refuse_changes()"
        )
    op.execute(CHECK_BALANCE)
    op.execute(
        "create constraint trigger ledger_transaction_balances after insert on ledger_entries "
        "deferrable initially deferred for each row execute function check_ledger_transaction()"
    )


def _tenant_and_id() -> tuple[sa.Column[object], sa.Column[object]]:
    return sa.Column("tenant_id", sa.Uuid(), nullable=False), sa.Column("id", sa.Uuid(), nullable=False)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _create_books() -> None:
    op.create_table(
        "ledger_transactions",
        *_tenant_and_id(),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        _created_at(),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_ledger_transactions_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_ledger_transactions")),
        sa.UniqueConstraint("tenant_id", "kind", "reference", name="uq_ledger_transactions_reference"),
        sa.UniqueConstraint("tenant_id", "id", "currency", name="uq_ledger_transactions_currency"),
    )
    op.create_index("ix_ledger_transactions_tenant_id_occurred_at", "ledger_transactions", ["tenant_id", "occurred_at"])
    op.create_table(
        "ledger_entries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_nanos", sa.Numeric(38, 0), nullable=False),
        sa.CheckConstraint(ACCOUNTS, name=op.f("ck_ledger_entries_account")),
        sa.CheckConstraint("amount_nanos <> 0", name=op.f("ck_ledger_entries_amount")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "transaction_id", "currency"],
            ["ledger_transactions.tenant_id", "ledger_transactions.id", "ledger_transactions.currency"],
            name="fk_ledger_entries_transaction",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "transaction_id", "position", name=op.f("pk_ledger_entries")),
    )
    op.create_index("ix_ledger_entries_tenant_id_account", "ledger_entries", ["tenant_id", "account", "currency"])


def _create_balances() -> None:
    op.create_table(
        "ledger_balances",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_nanos", sa.Numeric(38, 0), nullable=False),
        sa.Column("held_nanos", sa.Numeric(38, 0), server_default="0", nullable=False),
        sa.CheckConstraint(ACCOUNTS, name=op.f("ck_ledger_balances_account")),
        sa.CheckConstraint("held_nanos >= 0", name=op.f("ck_ledger_balances_held")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_ledger_balances_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "account", "currency", name=op.f("pk_ledger_balances")),
    )
    op.create_table(
        "ledger_holds",
        *_tenant_and_id(),
        sa.Column("account", sa.String(20), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_nanos", sa.Numeric(38, 0), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _created_at(),
        sa.CheckConstraint(ACCOUNTS, name=op.f("ck_ledger_holds_account")),
        sa.CheckConstraint("amount_nanos > 0", name=op.f("ck_ledger_holds_amount")),
        sa.CheckConstraint("state in ('open', 'captured', 'released', 'expired')", name=op.f("ck_ledger_holds_state")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_ledger_holds_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_ledger_holds")),
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
