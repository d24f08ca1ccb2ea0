"""Budgets as others see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from omni.contracts.money import Period, Scope


@dataclass(frozen=True, slots=True)
class StoredBudget:
    """A ceiling of spending, and at which percentages of it somebody is told."""

    budget_id: UUID
    scope: Scope
    scope_id: UUID
    period: Period
    limit_nanos: int
    hard: bool
    alerts: tuple[int, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Wallet:
    """All credit that a tenant ever got, less what expired, and what it spent of it; None = it pays by invoice."""

    credit_nanos: int | None
    spent_nanos: int


GrantSource = Literal["promotion", "purchase", "refund"]
"""Given away, paid for, or given back of what was earned."""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """Credit to add. A negative amount takes credit back: it is used up like spending."""

    amount_nanos: int
    reason: str
    created_by: UUID
    source: GrantSource = "purchase"
    priority: int = 100
    """Lower numbers are used first."""
    expires_at: datetime | None = None
    reference: str | None = None
    """What it is for; the same reference counts once. None = a grant of its own."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Credit in a wallet, and what became of it so far."""

    grant_id: UUID
    amount_nanos: int
    reason: str
    source: GrantSource
    priority: int
    granted_at: datetime
    expires_at: datetime | None
    reference: str | None
    """None for credits of before wallets were in the books."""
    used_nanos: int = 0
    expired_nanos: int = 0
    expired_at: datetime | None = None

    @property
    def remaining_nanos(self) -> int:
        """What can still be used of it; nothing of one that took credit back."""
        return max(0, self.amount_nanos - self.used_nanos - self.expired_nanos)


@dataclass(frozen=True, slots=True)
class TopUp:
    """So much is charged for when the wallet has less than the threshold."""

    threshold_nanos: int
    amount_nanos: int
    requested: str | None = None
    """The reference of the charge that is under way."""
    requested_at: datetime | None = None
    """When it was last asked for."""
    paused: bool = False
    """Since a charge failed; setting it again goes on."""
