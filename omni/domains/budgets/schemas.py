"""Bodies of the budget routes. Amounts are nano-units of the platform's currency: 1,000,000,000 is one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from omni.contracts.money import Period, Scope
from omni.foundation.http.fields import Name, RequestModel

GrantSource = Literal["promotion", "purchase", "refund"]
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
    source: Annotated[GrantSource, Field(description="Given away, paid for, or given back.")] = "purchase"
    priority: Annotated[int, Field(ge=0, le=1_000_000, description="Lower numbers are used first.")] = 100
    expires_at: Annotated[AwareDatetime | None, Field(description="What is not used by then is lost.")] = None
    reference: Annotated[
        str | None,
        Field(min_length=1, max_length=200, examples=["welcome 2026-11"], description="The same one counts once."),
    ] = None

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.amount_nanos == 0:
            raise ValueError("amount_nanos must not be 0")
        if self.amount_nanos < 0 and self.expires_at is not None:
            raise ValueError("what takes credit back does not expire")
        return self


class GrantOut(BaseModel):
    """Credit in a wallet; `remaining_nanos` can still be used."""

    id: UUID
    amount_nanos: int
    reason: str
    source: GrantSource
    priority: int
    granted_at: datetime
    expires_at: datetime | None
    reference: str | None
    used_nanos: int
    expired_nanos: int
    expired_at: datetime | None
    remaining_nanos: int


class GrantsOut(BaseModel):
    """Every grant, oldest first."""

    data: list[GrantOut]


class TopUpIn(RequestModel):
    """When the wallet has less than the threshold, so much is charged for."""

    threshold_nanos: Annotated[int, Field(ge=0, le=2**53 - 1, examples=[10_000_000_000])]
    amount_nanos: Nanos


class TopUpOut(BaseModel):
    """How the wallet is topped up."""

    threshold_nanos: int
    amount_nanos: int
    requested: str | None = Field(description="The reference of the charge that is under way.")
    paused: bool = Field(description="Since a charge failed; setting it again goes on.")


class WalletOut(BaseModel):
    """Credit of a tenant that pays in advance; null = it pays by invoice."""

    credit_nanos: int | None
    spent_nanos: int
    remaining_nanos: int | None
