"""Bodies of the ledger's API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class BalanceOut(BaseModel):
    """What an account comes to."""

    account: str = Field(examples=["receivable"])
    currency: str
    amount_nanos: int = Field(description="Nano-units; debits are positive, credits negative.")
    held_nanos: int = Field(description="The part of it that is set aside.")


class BalancesOut(BaseModel):
    """Every account that was ever used."""

    data: list[BalanceOut]


class EntryOut(BaseModel):
    """One side of a transaction."""

    account: str = Field(examples=["receivable"])
    amount_nanos: int = Field(description="Nano-units; a debit is positive, a credit negative.")


class TransactionOut(BaseModel):
    """Entries that add up to zero."""

    id: UUID
    currency: str
    kind: str = Field(examples=["invoice"])
    reference: str = Field(description="What caused it, e.g. the number of the invoice.")
    occurred_at: datetime
    entries: list[EntryOut]


class TransactionsOut(BaseModel):
    """Transactions in the order in which they were posted."""

    data: list[TransactionOut]
    next_after: UUID | None = Field(None, description="Ask for `after` this one to get more; null at the end.")
