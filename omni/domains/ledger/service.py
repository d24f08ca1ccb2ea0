"""Use cases of the books."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from omni.domains.ledger import repository, rules
from omni.domains.ledger.contracts import Account, Balance, Entry, Hold, Posted, Transaction
from omni.domains.metering.contracts import Difference
from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession
from omni.kit.errors import Conflict, NotFound, Unprocessable
from omni.kit.ids import uuid7


async def post(session: WriteSession, transaction: Transaction) -> Posted:
    """Writes a transaction into the books; the one that is there already, when kind and reference are known.

    Raises ValueError for what does not balance, Conflict `ledger_reference_taken` when the one in the books is another.
    """
    rules.check(transaction)
    transaction_id = uuid7()
    if not await repository.insert_transaction(session, transaction_id, transaction):
        return await _posted_before(session, transaction)
    await repository.insert_entries(session, transaction_id, transaction.currency, transaction.entries)
    await repository.add_to_balances(session, transaction.currency, rules.by_account(transaction.entries))
    return Posted(transaction_id, transaction)


async def _posted_before(session: WriteSession, transaction: Transaction) -> Posted:
    found = await repository.find_transaction(session, transaction.kind, transaction.reference)
    assert found is not None  # nothing is ever deleted
    there = found.transaction
    same = (there.currency, rules.by_account(there.entries)) == (
        transaction.currency,
        rules.by_account(transaction.entries),
    )
    if not same:
        raise Conflict(
            "ledger_reference_taken",
            f"The books have another transaction for {transaction.kind} {transaction.reference}.",
        )
    return found


async def reverse(session: WriteSession, posted: Posted, kind: str, reference: str, at: datetime) -> Posted:
    """Undoes a transaction by its opposite."""
    opposite = tuple(Entry(entry.account, -entry.amount_nanos) for entry in posted.transaction.entries)
    return await post(session, Transaction(posted.transaction.currency, kind, reference, at, opposite))


async def find(session: ReadSession, kind: str, reference: str) -> Posted | None:
    """The transaction of this kind and reference."""
    return await repository.find_transaction(session, kind, reference)


async def booked(session: ReadSession, kind: str, prefix: str, account: Account) -> tuple[int, int]:
    """How many transactions of a kind have a reference that begins so, and what they come to at an account."""
    return await repository.booked(session, kind, prefix, account)


async def transactions(
    session: ReadSession, account: Account | None = None, after: UUID | None = None, limit: int = 100
) -> list[Posted]:
    """In the order in which they were posted; only those that touch `account`, where it is given."""
    return await repository.list_transactions(session, account, after, limit)


async def balances(session: ReadSession) -> list[Balance]:
    """Every account that was ever used."""
    return await repository.balances(session)


async def hold(session: WriteSession, account: Account, currency: str, amount_nanos: int, until: datetime) -> Hold:
    """Sets aside a part of what an account has. Raises Unprocessable `balance_too_low`."""
    balance = await repository.lock_balance(session, account, currency)
    there = 0 if balance is None else rules.available_nanos(account, balance.amount_nanos, balance.held_nanos)
    if amount_nanos <= 0 or amount_nanos > there:
        raise Unprocessable(
            "balance_too_low", f"The account {account} has {max(there, 0)} nano-units of {currency} that are not held."
        )
    made = Hold(uuid7(), account, currency, amount_nanos, until, "open")
    await repository.insert_hold(session, made)
    return made


async def capture(session: WriteSession, hold_id: UUID, transaction: Transaction) -> Posted:
    """Ends a hold by a transaction that takes at most what is held from its account.

    Raises NotFound `hold_not_found`, Conflict `hold_resolved`, Unprocessable `capture_too_large`.
    """
    found = await _open_hold(session, hold_id)
    change = rules.by_account(transaction.entries).get(found.account, 0)
    taken = change if found.account in rules.CREDIT_ACCOUNTS else -change
    if transaction.currency != found.currency or not 0 < taken <= found.amount_nanos:
        raise Unprocessable(
            "capture_too_large",
            f"The hold is of {found.amount_nanos} nano-units of {found.currency} on {found.account}.",
        )
    await _end(session, found, "captured")
    return await post(session, transaction)


async def release(session: WriteSession, hold_id: UUID) -> None:
    """Gives a hold back in full. Raises NotFound `hold_not_found`, Conflict `hold_resolved`."""
    await _end(session, await _open_hold(session, hold_id), "released")


async def expire_holds(session: WriteSession, now: datetime) -> int:
    """Gives back every hold whose time is over; returns how many."""
    return sum(
        [await repository.end_hold(session, each, "expired") for each in await repository.due_holds(session, now)]
    )


async def _open_hold(session: WriteSession, hold_id: UUID) -> Hold:
    found = await repository.find_hold(session, hold_id)
    if found is None:
        raise NotFound("hold_not_found", "There is no such hold in this tenant.")
    return found


async def _end(session: WriteSession, found: Hold, state: str) -> None:
    if not await repository.end_hold(session, found, state):
        raise Conflict("hold_resolved", "The hold was captured, released or has expired.")


async def verify(session: SystemSession) -> list[Difference]:
    """What is wrong with the books of all tenants."""
    differences = [
        Difference("ledger entries of a currency = 0", None, currency, 0, total)
        for currency, total in (await repository.sums_by_currency(session)).items()
        if total
    ]
    differences += [
        Difference("ledger entries of a transaction = 0", row["tenant_id"], str(row["transaction_id"]), 0, row["total"])
        for row in await repository.unbalanced(session)
    ]
    for row in await repository.off_balance(session):
        what = f"{row['account']} in {row['currency']}, nano-units"
        differences.append(
            Difference("ledger entries = balances", row["tenant_id"], what, int(row["entries"]), int(row["balance"]))
        )
    for row in await repository.off_holds(session):
        what = f"held of {row['account']} in {row['currency']}, nano-units"
        differences.append(
            Difference("open holds = held balances", row["tenant_id"], what, int(row["holds"]), int(row["balance"]))
        )
    return differences
