"""SQL of the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.ledger.contracts import Account, Balance, Entry, Hold, Posted, Transaction
from omni.domains.ledger.tables import ledger_balances, ledger_entries, ledger_holds, ledger_transactions
from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession

_ADD_TO_BALANCES = text("""
    insert into ledger_balances (tenant_id, account, currency, amount_nanos)
    select :tenant_id, account, :currency, amount
    from unnest(cast(:accounts as text[]), cast(:amounts as numeric[])) as added (account, amount) order by account
    on conflict (tenant_id, account, currency)
    do update set amount_nanos = ledger_balances.amount_nanos + excluded.amount_nanos
""")

_BOOKED = text("""
    select count(distinct t.id) as transactions,
           coalesce(sum(e.amount_nanos) filter (where e.account = :account), 0) as amount
    from ledger_transactions t
    join ledger_entries e on e.tenant_id = t.tenant_id and e.transaction_id = t.id
    where t.tenant_id = :tenant_id and t.kind = :kind and starts_with(t.reference, :prefix)
""")

_OFF_BALANCE = text("""
    select coalesce(b.tenant_id, e.tenant_id) as tenant_id, coalesce(b.account, e.account) as account,
           coalesce(b.currency, e.currency) as currency,
           coalesce(e.amount_nanos, 0) as entries, coalesce(b.amount_nanos, 0) as balance
    from ledger_balances b
    full join (
        select tenant_id, account, currency, sum(amount_nanos) as amount_nanos
        from ledger_entries group by tenant_id, account, currency
    ) e using (tenant_id, account, currency)
    where coalesce(e.amount_nanos, 0) <> coalesce(b.amount_nanos, 0)
""")

_UNBALANCED = text("""
    select tenant_id, transaction_id, sum(amount_nanos) as total
    from ledger_entries group by tenant_id, transaction_id having sum(amount_nanos) <> 0
""")

_OFF_HOLDS = text("""
    select coalesce(b.tenant_id, h.tenant_id) as tenant_id, coalesce(b.account, h.account) as account,
           coalesce(b.currency, h.currency) as currency,
           coalesce(h.held, 0) as holds, coalesce(b.held_nanos, 0) as balance
    from ledger_balances b
    full join (
        select tenant_id, account, currency, sum(amount_nanos) as held
        from ledger_holds where state = 'open' group by tenant_id, account, currency
    ) h using (tenant_id, account, currency)
    where coalesce(h.held, 0) <> coalesce(b.held_nanos, 0)
""")


async def insert_transaction(session: WriteSession, transaction_id: UUID, transaction: Transaction) -> bool:
    """False when one of its kind and reference is in the books."""
    row = {
        "tenant_id": session.tenant_id,
        "id": transaction_id,
        "currency": transaction.currency,
        "kind": transaction.kind,
        "reference": transaction.reference,
        "occurred_at": transaction.occurred_at,
    }
    statement = insert(ledger_transactions).values(row)
    statement = statement.on_conflict_do_nothing(constraint="uq_ledger_transactions_reference")
    return (await session.execute(statement)).rowcount == 1


async def insert_entries(session: WriteSession, transaction_id: UUID, currency: str, entries: Sequence[Entry]) -> None:
    rows = [
        {
            "tenant_id": session.tenant_id,
            "transaction_id": transaction_id,
            "position": position,
            "account": entry.account.value,
            "currency": currency,
            "amount_nanos": entry.amount_nanos,
        }
        for position, entry in enumerate(entries)
    ]
    await session.execute(insert(ledger_entries).values(rows))


async def add_to_balances(session: WriteSession, currency: str, changes: Mapping[Account, int]) -> None:
    """Changes the projection; accounts are locked in one order, so that two transactions cannot block each other."""
    parameters = {
        "tenant_id": session.tenant_id,
        "currency": currency,
        "accounts": [account.value for account in changes],
        "amounts": list(changes.values()),
    }
    await session.execute(_ADD_TO_BALANCES, parameters)


async def find_transaction(session: ReadSession, kind: str, reference: str) -> Posted | None:
    table = ledger_transactions.c
    statement = select(ledger_transactions).where(
        table.tenant_id == session.tenant_id, table.kind == kind, table.reference == reference
    )
    row = await session.first(statement)
    return None if row is None else (await _with_entries(session, [row]))[0]


async def list_transactions(
    session: ReadSession, account: Account | None, after: UUID | None, limit: int
) -> list[Posted]:
    """By id, that is by when they were posted; only those that touch `account`, where it is given."""
    table, entry = ledger_transactions.c, ledger_entries.c
    statement = select(ledger_transactions).where(table.tenant_id == session.tenant_id)
    if after is not None:
        statement = statement.where(table.id > after)
    if account is not None:
        touching = select(entry.transaction_id).where(
            entry.tenant_id == session.tenant_id, entry.account == account.value
        )
        statement = statement.where(table.id.in_(touching))
    return await _with_entries(session, await session.all(statement.order_by(table.id).limit(limit)))


async def _with_entries(session: ReadSession, rows: Sequence[RowMapping]) -> list[Posted]:
    entry = ledger_entries.c
    statement = select(ledger_entries).where(
        entry.tenant_id == session.tenant_id, entry.transaction_id.in_([row["id"] for row in rows])
    )
    found: dict[UUID, list[Entry]] = {row["id"]: [] for row in rows}
    for row in await session.all(statement.order_by(entry.transaction_id, entry.position)):
        found[row["transaction_id"]].append(Entry(Account(row["account"]), int(row["amount_nanos"])))
    return [
        Posted(
            row["id"],
            Transaction(row["currency"], row["kind"], row["reference"], row["occurred_at"], tuple(found[row["id"]])),
        )
        for row in rows
    ]


async def booked(session: ReadSession, kind: str, prefix: str, account: Account) -> tuple[int, int]:
    """How many transactions of a kind have a reference that begins so, and what they come to at an account."""
    row = await session.first(_BOOKED, {
        "tenant_id": session.tenant_id, "kind": kind, "prefix": prefix, "account": account.value,
    })  # fmt: skip
    assert row is not None
    return row["transactions"], int(row["amount"])


async def balances(session: ReadSession) -> list[Balance]:
    table = ledger_balances.c
    statement = select(ledger_balances).where(table.tenant_id == session.tenant_id)
    return [_to_balance(row) for row in await session.all(statement.order_by(table.currency, table.account))]


async def lock_balance(session: WriteSession, account: Account, currency: str) -> Balance | None:
    """The balance, kept for this transaction until it ends."""
    table = ledger_balances.c
    statement = select(ledger_balances).where(
        table.tenant_id == session.tenant_id, table.account == account.value, table.currency == currency
    )
    row = await session.first(statement.with_for_update())
    return None if row is None else _to_balance(row)


async def insert_hold(session: WriteSession, hold: Hold) -> None:
    row = {
        "tenant_id": session.tenant_id,
        "id": hold.hold_id,
        "account": hold.account.value,
        "currency": hold.currency,
        "amount_nanos": hold.amount_nanos,
        "state": hold.state,
        "expires_at": hold.expires_at,
    }
    await session.execute(insert(ledger_holds).values(row))
    await _change_held(session, hold, hold.amount_nanos)


async def find_hold(session: ReadSession, hold_id: UUID) -> Hold | None:
    table = ledger_holds.c
    row = await session.first(select(ledger_holds).where(table.tenant_id == session.tenant_id, table.id == hold_id))
    return None if row is None else _to_hold(row)


async def end_hold(session: WriteSession, hold: Hold, state: str) -> bool:
    """Whether it was open until now."""
    table = ledger_holds.c
    statement = update(ledger_holds).where(
        table.tenant_id == session.tenant_id, table.id == hold.hold_id, table.state == "open"
    )
    if not (await session.execute(statement.values(state=state))).rowcount:
        return False
    await _change_held(session, hold, -hold.amount_nanos)
    return True


async def due_holds(session: ReadSession, now: datetime) -> list[Hold]:
    """Open holds whose time is over."""
    table = ledger_holds.c
    statement = select(ledger_holds).where(
        table.tenant_id == session.tenant_id, table.state == "open", table.expires_at <= now
    )
    return [_to_hold(row) for row in await session.all(statement.order_by(table.account, table.id))]


async def _change_held(session: WriteSession, hold: Hold, nanos: int) -> None:
    table = ledger_balances.c
    statement = update(ledger_balances).where(
        table.tenant_id == session.tenant_id, table.account == hold.account.value, table.currency == hold.currency
    )
    await session.execute(statement.values(held_nanos=table.held_nanos + Decimal(nanos)))


async def sums_by_currency(session: SystemSession) -> dict[str, int]:
    """What all entries of each currency come to; zero, if the books are right."""
    statement = select(ledger_entries.c.currency, func.sum(ledger_entries.c.amount_nanos).label("total"))
    rows = await session.all(statement.group_by(ledger_entries.c.currency))
    return {row["currency"]: int(row["total"]) for row in rows}


async def unbalanced(session: SystemSession) -> Sequence[RowMapping]:
    """Transactions that do not add up to zero."""
    return await session.all(_UNBALANCED)


async def off_balance(session: SystemSession) -> Sequence[RowMapping]:
    """Balances that are not the sums of their entries."""
    return await session.all(_OFF_BALANCE)


async def off_holds(session: SystemSession) -> Sequence[RowMapping]:
    """Balances whose held part is not the sum of the open holds."""
    return await session.all(_OFF_HOLDS)


def _to_balance(row: RowMapping) -> Balance:
    return Balance(Account(row["account"]), row["currency"], int(row["amount_nanos"]), int(row["held_nanos"]))


def _to_hold(row: Mapping[Any, Any]) -> Hold:
    return Hold(
        row["id"], Account(row["account"]), row["currency"], int(row["amount_nanos"]), row["expires_at"], row["state"]
    )
