"""Bodies of products, plan versions, coupons, tax rates and the calculator; terms, cards and coupons are contracts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from omni.domains.pricing.contracts import Coupon, PlanTerms, RateCard, StepKind
from omni.domains.pricing.contracts.fields import Code, Currency, Label, Percent, Units, Value
from omni.foundation.http.fields import RequestModel


class ProductIn(RequestModel):
    """What is sold."""

    name: Annotated[Label, Field(examples=["API"])]
    tax_code: Annotated[Code, Field(description="Which of a country's tax rates holds.")] = "standard"


class ProductOut(BaseModel):
    """What is sold."""

    code: str
    name: str
    tax_code: str


class ProductsOut(BaseModel):
    """By code."""

    data: list[ProductOut]


class TaxRateIn(RequestModel):
    """A rate; `percent` is a string such as "9.5"."""

    percent: Percent
    valid_until: Annotated[date | None, Field(description="The first day on which it no longer holds.")] = None


class TaxRateOut(BaseModel):
    """A country's rate for a tax code."""

    country: str
    code: str
    percent: Decimal
    valid_from: date
    valid_until: date | None


class TaxRatesOut(BaseModel):
    """By country and code, newest first."""

    data: list[TaxRateOut]


class PlanVersionOut(BaseModel):
    """Terms as they were published."""

    plan_code: str
    version: int
    published_at: datetime
    terms: PlanTerms


class PlanVersionsOut(BaseModel):
    """By currency and number."""

    data: list[PlanVersionOut]


class CouponOut(BaseModel):
    """A coupon and how often it was redeemed."""

    coupon: Coupon
    redemptions: int


class CouponsOut(BaseModel):
    """By code."""

    data: list[CouponOut]


class QuantityIn(RequestModel):
    """Usage of the card's meter with these dimensions."""

    dimensions: Annotated[dict[str, Value], Field(max_length=20)] = Field(default_factory=dict)
    quantity: Annotated[Units, Field(examples=["1000000"])]
    events: Annotated[int, Field(ge=0, le=2**53)] = 0


class TransactionIn(RequestModel):
    """One event; `price` where the card takes its price from it."""

    dimensions: Annotated[dict[str, Value], Field(max_length=20)] = Field(default_factory=dict)
    value: Annotated[Units, Field(examples=["19.99"])]
    price: Units | None = None


class CardUsageIn(RequestModel):
    """What one rate card rates."""

    card: Code
    quantities: Annotated[list[QuantityIn], Field(max_length=10_000)] = Field(default_factory=list)
    transactions: Annotated[list[TransactionIn], Field(max_length=10_000)] = Field(default_factory=list)


class PlanVersionRef(RequestModel):
    """A version of a plan; the newest when `version` is left out."""

    code: Annotated[str, Field(max_length=50, examples=["pro"])]
    currency: Currency
    version: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None


class RateIn(RequestModel):
    """A rate card or a version of a plan, and usage of its cards."""

    rate_card: RateCard | None = None
    plan: PlanVersionRef | None = None
    usage: Annotated[list[CardUsageIn], Field(max_length=200)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_of_them(self) -> RateIn:
        if (self.rate_card is None) == (self.plan is None):
            raise ValueError("send either rate_card or plan")
        codes = [each.card for each in self.usage]
        if len(set(codes)) != len(codes):
            raise ValueError("usage names a card twice")
        return self


class StepOut(BaseModel):
    """A part of a line. Quantities and amounts are exact: a decimal, or a fraction such as `1/3`."""

    kind: StepKind
    quantity: str
    amount: str
    price_nanos: int | None
    per_quantity: int | None
    percent: Decimal | None
    above: Decimal | None
    up_to: Decimal | None


class RatedLineOut(BaseModel):
    """A line; `amount` is exact, in units of the currency, `amount_minor` rounded once, half-even."""

    card: str
    dimensions: dict[str, str]
    quantity: str
    included: str
    events: int
    amount: str
    amount_minor: int
    steps: list[StepOut]


class RatedOut(BaseModel):
    """What usage comes to, before discounts and tax."""

    currency: str
    lines: list[RatedLineOut]
    total_minor: int
