"""Budgets as others see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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
    """All credit that a tenant ever got, and what it spent of it."""

    credit_nanos: int | None
    spent_nanos: int
