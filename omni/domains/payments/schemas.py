"""Bodies of the payments API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PaymentOut(BaseModel):
    """One attempt to have an invoice paid."""

    id: UUID
    invoice_id: UUID
    provider: str
    status: str = Field(examples=["succeeded"])
    code: str = Field(description="Why it failed or what it waits for, in the provider's words.")
    amount_minor: int
    currency: str
    received_minor: int
    refunded_minor: int
    withdrawn_minor: int = Field(description="What the payer's bank holds or took back.")
    action_url: str = Field(description="Where the payer has to go; empty where nothing is to be done.")
    created_at: datetime


class PaymentsOut(BaseModel):
    """Payments, newest first."""

    data: list[PaymentOut]


class ProvidersOut(BaseModel):
    """The ways to pay that are on."""

    data: list[str] = Field(examples=[["stripe"]])


class SetupIn(_In):
    """Which provider, and where the payer comes back to."""

    provider: str = Field(max_length=20, examples=["stripe"])
    return_url: str = Field(max_length=2000, pattern=r"^https?://")


class SetupOut(BaseModel):
    """A page of the provider's on which a method is saved."""

    session_id: str
    url: str


class FinishIn(_In):
    """Which page was finished."""

    provider: str = Field(max_length=20, examples=["stripe"])
    session_id: str = Field(max_length=200, pattern=r"^[A-Za-z0-9_-]+$")


class MethodOut(BaseModel):
    """A saved method."""

    id: UUID
    provider: str
    kind: str
    brand: str
    last4: str
    expires: str
    created_at: datetime


class MethodsOut(BaseModel):
    """Saved methods, oldest first."""

    data: list[MethodOut]


class RefundIn(_In):
    """How much goes back, and why."""

    amount_minor: int = Field(gt=0, le=10**15)
    reason: str = Field(min_length=1, max_length=200)
