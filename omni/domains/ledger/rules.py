"""What may be posted, without I/O."""

from __future__ import annotations

from collections.abc import Iterable

from omni.domains.ledger.contracts import Account, Entry, Transaction
from omni.kit.money import currency_exponent

CREDIT_ACCOUNTS = frozenset((Account.WALLET, Account.PAYOUT))
"""Accounts that we owe: what there is to take is the negative of their balance."""


def entries(*amounts: tuple[Account, int]) -> tuple[Entry, ...]:
    """The entries of these amounts, one for each account; those of nothing are left out."""
    totals: dict[Account, int] = {}
    for account, nanos in amounts:
        totals[account] = totals.get(account, 0) + nanos
    return tuple(Entry(account, nanos) for account, nanos in totals.items() if nanos)


def check(transaction: Transaction) -> None:
    """Raises ValueError for what is no transaction: it does not balance, has no two sides, or an unknown currency."""
    currency_exponent(transaction.currency)
    found = transaction.entries
    if len(found) < 2:
        raise ValueError(f"{transaction.kind} {transaction.reference}: a transaction has at least two entries")
    if any(entry.amount_nanos == 0 for entry in found):
        raise ValueError(f"{transaction.kind} {transaction.reference}: an entry of nothing")
    total = sum(entry.amount_nanos for entry in found)
    if total:
        raise ValueError(f"{transaction.kind} {transaction.reference}: the entries add up to {total}, not to zero")


def by_account(found: Iterable[Entry]) -> dict[Account, int]:
    """What the entries change at each account."""
    totals: dict[Account, int] = {}
    for entry in found:
        totals[entry.account] = totals.get(entry.account, 0) + entry.amount_nanos
    return totals


def available_nanos(account: Account, balance_nanos: int, held_nanos: int) -> int:
    """What can still be held or taken."""
    there = -balance_nanos if account in CREDIT_ACCOUNTS else balance_nanos
    return there - held_nanos
