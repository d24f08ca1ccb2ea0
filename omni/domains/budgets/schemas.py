"""Bodies of the budget routes. Amounts are nano-units of the platform's currency: 1,000,000,000 is one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from omni.contracts.money import Period, Scope
from omni.foundation.http.fields import Name, RequestModel

Nanos = Annotated[int, Field(ge=1, le=2**53 - 1, examples=[50_000_000_000])]
Alerts = Annotated[
    list[Annotated[int, Field(ge=1, le=100)]],
    Field(max_length=10, examples=[[50, 80, 100]], description="Percentages at which the owners get a mail."),
]


class BudgetIn(RequestModel):
    """A budget to make. `scope_id` is the id of the tenant, project or key."""

    scope: Annotated[Scope, Field(examples=["tenant"])]
    scope_id: UUID
    period: Annotated[Period, Field(examples=["month"])]
    limit_nanos: Nanos
    hard: Annotated[bool, Field(description="Whether requests beyond it are refused.")] = True
    alerts: Alerts = Field(default_factory=lambda: [50, 80, 100])


class BudgetPatch(RequestModel):
    """What to change; what is left out stays."""

    limit_nanos: Nanos | None = None
    alerts: Alerts | None = None


class BudgetOut(BaseModel):
    """A budget and what is spent of it in its present period."""

    id: UUID
    scope: Scope
    scope_id: UUID
    period: Period
    limit_nanos: int
    hard: bool
    alerts: list[int]
    created_at: datetime
    spent_nanos: int
    remaining_nanos: int


class BudgetsOut(BaseModel):
    """All budgets of a tenant, oldest first."""

    data: list[BudgetOut]


class CreditIn(RequestModel):
    """Credit to grant; a negative amount takes some back."""

    amount_nanos: Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1, examples=[100_000_000_000])]
    reason: Annotated[Name, Field(examples=["bank transfer of 24 November"])]


class WalletOut(BaseModel):
    """Credit of a tenant that pays in advance; null = it pays by invoice."""

    credit_nanos: int | None
    spent_nanos: int
    remaining_nanos: int | None
