"""Bodies of the invoice API."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from omni.domains.pricing.contracts import Coupon, PlanTerms
from omni.foundation.http.fields import EmailAddress, Name, RequestModel

Country = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.", examples=["SI"])]
Text = Annotated[str, Field(max_length=200)]


class AddressFields(RequestModel):
    """Who someone is, as it stands on invoices."""

    name: Name
    street: Text = ""
    postcode: Annotated[str, Field(max_length=20)] = ""
    city: Annotated[str, Field(max_length=100)] = ""
    country: Country
    vat_id: Annotated[str, Field(max_length=20)] | None = Field(None, examples=["SI12345679"])
    email: EmailAddress | None = None


class LegalEntityIn(AddressFields):
    """A company that sells."""

    invoice_prefix: str = Field(pattern="^[A-Z][A-Z0-9]{0,9}$", examples=["OMNI"], description="Begins its numbers.")
    registration: Annotated[str, Field(max_length=50)] | None = None
    iban: Annotated[str, Field(max_length=34)] | None = None
    bic: Annotated[str, Field(max_length=11)] | None = None
    is_default: bool = Field(True, description="Sells to every tenant that has no other seller.")


class LegalEntityOut(BaseModel):
    """A company that sells."""

    code: str
    name: str
    street: str
    postcode: str
    city: str
    country: str
    invoice_prefix: str
    vat_id: str | None
    registration: str | None
    email: str | None
    iban: str | None
    bic: str | None
    is_default: bool


class LegalEntitiesOut(BaseModel):
    """Every company that sells."""

    data: list[LegalEntityOut]


class ProfileIn(AddressFields):
    """Who buys, and how it wants to be billed."""

    language: Literal["en", "sl"] = "en"
    time_zone: Annotated[str, Field(max_length=64, examples=["Europe/Ljubljana"])] = "UTC"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"


class OperatorProfileIn(ProfileIn):
    """What only an operator sets besides."""

    entity_code: Annotated[str, Field(max_length=50)]
    tax_exempt: bool = False
    payment_days: int = Field(14, ge=0, le=365)


class ProfileOut(BaseModel):
    """Who buys, and how it is billed."""

    entity_code: str
    name: str
    street: str
    postcode: str
    city: str
    country: str
    vat_id: str | None
    email: str | None
    tax_exempt: bool
    language: str
    time_zone: str
    currency: str
    payment_days: int
    test_clock: datetime | None = Field(description="What time it is for a sandbox tenant; null in real time.")


class ClockIn(RequestModel):
    """Where a sandbox tenant's clock is to stand."""

    at: AwareDatetime


class SubscribeIn(RequestModel):
    """A plan to begin with."""

    plan_code: Annotated[str, Field(max_length=50)]
    seats: int = Field(1, ge=0, le=1_000_000)
    trial_days: int | None = Field(
        None, ge=0, le=730, description="The plan's own when left out, and at most; 0 once the tenant has tried."
    )


class ChangePlanIn(RequestModel):
    """Another plan, or another number of seats."""

    plan_code: Annotated[str, Field(max_length=50)]
    seats: int | None = Field(None, ge=0, le=1_000_000)
    when: Literal["now", "period_end"] = Field("now", description="`now` charges and credits to the second.")


class CancelIn(RequestModel):
    """When the subscription ends."""

    when: Literal["now", "period_end"] = "period_end"


class SubscriptionOut(BaseModel):
    """A tenant on a plan."""

    id: UUID
    plan_code: str
    plan_version: int | None = Field(description="null = usage costs what the price list says.")
    currency: str
    interval: str
    time_zone: str
    seats: int
    status: str
    started_at: datetime
    trial_ends_at: datetime | None
    period_start: datetime
    period_end: datetime
    next_plan_code: str | None
    cancel_at_period_end: bool
    ended_at: datetime | None


class SubscriptionsOut(BaseModel):
    """Every subscription that the tenant has had, oldest first."""

    data: list[SubscriptionOut]


class LineOut(BaseModel):
    """A line of an invoice."""

    position: int
    kind: str
    card: str
    name: str
    meter: str | None
    filters: dict[str, list[str]]
    dimensions: dict[str, str]
    start: datetime
    end: datetime
    quantity: Decimal
    events: int = Field(description="Usage events that this line counts.")
    net_minor: int = Field(description="Without tax, in minor units of the currency, rounded once, half-even.")
    steps: list[dict[str, Any]] = Field(description="How the amount came about; exact.")
    tax_category: str
    tax_rate: Decimal


class TaxLineOut(BaseModel):
    """The tax of one category and rate."""

    category: str
    rate: Decimal
    base_minor: int
    tax_minor: int
    reason: str


class UpcomingInvoiceOut(BaseModel):
    """The running period as far as it is known now; nothing of it is stored."""

    currency: str
    subscription_id: UUID | None = Field(description="null before the tenant's first subscription.")
    period_start: datetime
    period_end: datetime = Field(description="Up to when usage is counted.")
    unpriced: list[str] = Field(description="Meters that were used and that no price is for.")
    coupons: list[str] = Field(description="Those that hold.")
    net_minor: int
    tax_minor: int = Field(description="0, without taxes below, until an operator has set who sells.")
    gross_minor: int
    total: str = Field(description="The total for people.", examples=["12.34 EUR"])
    taxes: list[TaxLineOut]
    lines: list[LineOut]


class SimulateIn(RequestModel):
    """Another plan, and the time to price on it: a month, or from `start` on and before `end`."""

    plan_code: Annotated[str, Field(max_length=50)]
    version: int | None = Field(None, ge=1, le=2**31 - 1, description="The newest when left out.")
    seats: int | None = Field(None, ge=0, le=1_000_000, description="Those that the tenant has when left out.")
    month: str | None = Field(
        None, pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="In the tenant's time zone.", examples=["2026-11"]
    )
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        if (self.month is None) == (self.start is None) or (self.start is None) != (self.end is None):
            raise ValueError("send either month, or start and end")
        return self


class OperatorSimulateIn(SimulateIn):
    """The same for any plan, or for terms that are no plan's."""

    plan_code: Annotated[str, Field(max_length=50)] | None = None  # type: ignore[assignment]
    terms: PlanTerms | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.plan_code is None) == (self.terms is None) or (self.version is not None and self.plan_code is None):
            raise ValueError("send either plan_code, with or without version, or terms")
        return self


class PricedOut(BaseModel):
    """What a span comes to, without coupons and fees that are due once."""

    net_minor: int
    tax_minor: int
    gross_minor: int
    lines: list[LineOut]


class SimulationOut(BaseModel):
    """A span of the tenant's time on other terms, and on those that it was on."""

    currency: str
    start: datetime = Field(description="Not before the tenant was first billed.")
    end: datetime
    simulated: PricedOut
    actual: PricedOut
    difference_net_minor: int = Field(description="Below zero where the other terms are cheaper.")
    difference_gross_minor: int


class RedeemIn(RequestModel):
    """A coupon's code."""

    code: Annotated[str, Field(min_length=1, max_length=40, examples=["WELCOME20"])]


class RedemptionOut(BaseModel):
    """A coupon that the tenant has redeemed."""

    coupon: Coupon
    redeemed_at: datetime
    periods: int = Field(description="In how many billing periods it took something off.")
    holds: bool = Field(description="Whether it holds for a billing period that begins now.")


class RedemptionsOut(BaseModel):
    """In the order in which they were redeemed."""

    data: list[RedemptionOut]


class InvoiceOut(BaseModel):
    """An invoice; a credit note's amounts are negative."""

    id: UUID
    number: str | None = Field(description="null until it is final.")
    kind: str
    status: str
    mode: str
    currency: str
    subscription_id: UUID | None
    corrects_id: UUID | None
    period_start: datetime
    period_end: datetime
    issued_at: datetime | None
    due_at: datetime | None
    net_minor: int
    tax_minor: int
    gross_minor: int
    paid_minor: int
    credited_minor: int
    due_minor: int
    total: str = Field(description="The total for people.", examples=["12.34 EUR"])
    taxes: list[TaxLineOut]
    lines: list[LineOut]


class InvoicesOut(BaseModel):
    """Invoices, newest first."""

    data: list[InvoiceOut]
    next_before: UUID | None = Field(None, description="Ask for `before` this one to get more; null at the end.")


class PaymentIn(RequestModel):
    """Money that came in by bank transfer."""

    amount_minor: int = Field(gt=0, lt=2**53)
    reference: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="The bank's own; the same reference counts once."
    )


class LineEventOut(BaseModel):
    """A usage event that a line counts."""

    id: str
    occurred_at: datetime
    quantity: Decimal


class LineEventsOut(BaseModel):
    """The usage events that a line counts, oldest first."""

    data: list[LineEventOut]
    next_after: str | None = None


class PayIn(RequestModel):
    """How an invoice is to be paid."""

    provider: Annotated[str, Field(max_length=20, examples=["stripe"])]
    method_id: UUID | None = Field(None, description="Saved; without one the payer pays at the provider's page.")
    return_url: Annotated[str, Field(max_length=2000)] = Field("", description="Where the payer comes back to.")


class PaymentStartedOut(BaseModel):
    """An attempt that is under way."""

    payment_id: UUID
    amount_minor: int
    currency: str
