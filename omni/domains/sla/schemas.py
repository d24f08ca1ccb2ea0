"""Bodies of the routes of service levels."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from omni.foundation.http.fields import RequestModel


class TierIn(RequestModel):
    """What is given back when availability is below a threshold."""

    below_percent: Annotated[Decimal, Field(max_digits=6, decimal_places=3, examples=["99.9"])]
    credit_percent: Annotated[int, Field(strict=True, examples=[10])]


class TableIn(RequestModel):
    """The highest threshold first; none = nothing is promised any more."""

    tiers: Annotated[list[TierIn], Field(max_length=100)]


class TierOut(BaseModel):
    """What is given back when availability is below a threshold."""

    below_percent: Decimal
    credit_percent: int


class TableOut(BaseModel):
    """What a plan promises, for months that begin after it was published."""

    plan_code: str
    version: int
    tiers: list[TierOut]
    published_at: datetime


class TablesOut(BaseModel):
    """Every version, oldest first; the last one holds."""

    data: list[TableOut]


class MonthOut(BaseModel):
    """How available a month was, and what was credited for it. What availability is, is said at /docs/sla."""

    month: Annotated[str, Field(examples=["2026-10"])]
    start: datetime = Field(description="Of what is measured: the month, since the tenant was opened.")
    end: datetime
    preliminary: bool = Field(description="Whether it is by the data of now, and may still change.")
    availability_percent: Decimal | None = Field(description="null before the first quarter of an hour is over.")
    slots: int = Field(description="Quarters of an hour, of which availability is the mean.")
    plan_code: str | None
    table_version: int | None = Field(description="null when the plan had no table when the month began.")
    outcome: Literal["met", "no_sla", "waiting", "nothing_to_credit", "credited"] | None = Field(
        description="null while the month runs."
    )
    credit_percent: int
    currency: str | None
    base_minor: int = Field(description="What the month was charged with, without tax.")
    credit_minor: int
    invoice_id: UUID | None = Field(description="The credit note.")
    measured_at: datetime | None
    closed_at: datetime | None


class MonthWithEvidenceOut(MonthOut):
    """A month with what its figures rest on: quarters of an hour that fell short, outages, tiers, charges."""

    evidence: dict[str, Any]


class MonthsOut(BaseModel):
    """Those that were measured, newest first."""

    data: list[MonthOut]


class RecalculatedOut(BaseModel):
    """A month as it was stored, and by the data of now."""

    stored: MonthWithEvidenceOut | None
    now: MonthWithEvidenceOut
    differs: bool = Field(description="In availability or in the share of credit. A closed month stays as it is.")
