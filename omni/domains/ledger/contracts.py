"""What others see of the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Account(StrEnum):
    """The accounts of each tenant and currency; the README says what each holds."""

    RECEIVABLE = "receivable"
    CASH = "cash"
    WALLET = "wallet"
    REVENUE = "revenue"
    DEFERRED = "deferred"
    TAX = "tax"
    BAD_DEBT = "bad_debt"
    PROMOTION = "promotion"
    PROVIDER_COST = "provider_cost"
    PROVIDER_PAYABLE = "provider_payable"
    COMMISSION = "commission"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transaction: nano-units, a debit positive, a credit negative, never zero."""

    account: Account
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """Entries that add up to zero. `kind` and `reference` name what caused it: `invoice` and the invoice's number."""

    currency: str
    kind: str
    reference: str
    occurred_at: datetime
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Posted:
    """A transaction in the books."""

    transaction_id: UUID
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account comes to, and how much of it is held."""

    account: Account
    currency: str
    amount_nanos: int
    held_nanos: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A part of an account's balance that is set aside; `state` is open, captured, released or expired."""

    hold_id: UUID
    account: Account
    currency: str
    amount_nanos: int
    expires_at: datetime
    state: str
