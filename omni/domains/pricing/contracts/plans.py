"""Products and versions of plans."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from omni.domains.pricing.contracts.cards import RateCard
from omni.domains.pricing.contracts.fields import STRICT, Code, Currency, Label, Minor
from omni.domains.pricing.contracts.taxes import STANDARD, TaxBehaviour

Interval = Literal["month", "quarter", "year"]
Anchor = Literal["calendar", "anniversary"]


@dataclass(frozen=True, slots=True, config=STRICT)
class Product:
    """What rate cards are for. `tax_code` chooses among a country's tax rates."""

    code: Code
    name: Label
    tax_code: Code = STANDARD


@dataclass(frozen=True, slots=True, config=STRICT)
class PlanTerms:
    """What a plan costs. Periods begin with the calendar's, or on the day of the month on which a subscription began.

    `minimum_commitment_minor` is what a period comes to at least, before discounts and tax.
    """

    currency: Currency
    rate_cards: Annotated[tuple[RateCard, ...], Field(max_length=200)]
    interval: Interval = "month"
    anchor: Anchor = "calendar"
    trial_days: Annotated[int, Field(strict=True, ge=0, le=730)] = 0
    minimum_commitment_minor: Minor = 0
    tax_behaviour: TaxBehaviour = "exclusive"


@plain_dataclass(frozen=True, slots=True)
class PlanVersion:
    """Terms as they were published; they never change. Versions count from 1 in each plan and currency."""

    plan_code: str
    version: int
    published_at: datetime
    terms: PlanTerms
