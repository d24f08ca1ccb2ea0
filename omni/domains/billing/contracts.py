"""What others see of billing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal
from uuid import UUID

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import Difference
from omni.domains.pricing.contracts import DatedCard, TaxBehaviour

SubscriptionStatus = Literal["trialing", "active", "past_due", "suspended", "paused", "cancelled"]
InvoiceStatus = Literal["draft", "final", "paid", "void", "uncollectible"]
LineKind = Literal["usage", "fee", "credit", "commitment", "discount", "correction", "sla_credit"]


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """Who sells: a company with a series of invoice numbers of its own."""

    code: str
    name: str
    street: str
    postcode: str
    city: str
    country: str
    invoice_prefix: str
    vat_id: str | None = None
    registration: str | None = None
    email: str | None = None
    iban: str | None = None
    bic: str | None = None
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class BillingProfile:
    """Who buys, and how it wants to be billed."""

    entity_code: str
    name: str
    street: str = ""
    postcode: str = ""
    city: str = ""
    country: str = ""
    vat_id: str | None = None
    email: str | None = None
    tax_exempt: bool = False
    language: str = "en"
    time_zone: str = "UTC"
    currency: str = "EUR"
    payment_days: int = 14
    test_clock: datetime | None = None
    """What time it is for a sandbox tenant; None = it lives in real time."""

    @property
    def mode(self) -> Mode:
        """Which usage is billed: a sandbox tenant's invoices are of its test keys."""
        return "live" if self.test_clock is None else "test"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A tenant on a plan. What was before `billed_until` is on invoices; fees in advance reach to `period_end`."""

    subscription_id: UUID
    plan_code: str
    plan_version: int | None
    """None = the plan has no rate cards: usage costs what the price list says."""
    currency: str
    interval: Literal["month", "quarter", "year"]
    anchor_day: date
    time_zone: str
    seats: int
    status: SubscriptionStatus
    started_at: datetime
    trial_ends_at: datetime | None
    period_start: datetime
    period_end: datetime
    billed_until: datetime
    next_plan_code: str | None = None
    cancel_at_period_end: bool = False
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a billing period: from `start` on and before `end`, of the period `whole_start` to `whole_end`."""

    start: datetime
    end: datetime
    whole_start: datetime
    whole_end: datetime


@dataclass(frozen=True, slots=True)
class UsagePart:
    """What was used on a plan in a span."""

    plan_code: str
    plan_version: int | None
    seats: int
    span: Span


@dataclass(frozen=True, slots=True)
class FeePart:
    """Fees in advance of a plan for a span; a credit gives them back."""

    plan_code: str
    plan_version: int | None
    seats: int
    span: Span
    credit: bool = False
    first: bool = False
    """Whether fees that are due once are due with it."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What an invoice is for. Rating it again gives what it should have been."""

    usage: tuple[UsagePart, ...] = ()
    fees: tuple[FeePart, ...] = ()
    coupons: tuple[str, ...] = ()
    """The codes of those that hold, in the order in which they were redeemed."""


@dataclass(frozen=True, slots=True)
class Redemption:
    """A coupon that a tenant has redeemed, and in how many billing periods it took something off."""

    code: str
    redeemed_at: datetime
    periods: int = 0
    last_period: datetime | None = None
    """When the newest of these periods began."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscription is charged by. `version` is None for the price list."""

    plan_code: str
    version: int | None
    currency: str
    cards: tuple[DatedCard, ...]
    interval: Literal["month", "quarter", "year"] = "month"
    anchor: Literal["calendar", "anniversary"] = "calendar"
    trial_days: int = 0
    commitment_minor: int = 0
    behaviour: TaxBehaviour = "exclusive"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an invoice; amounts may be negative. `amount` is exact, in units of the currency."""

    kind: LineKind
    card: str
    product: str
    name: str
    meter: str | None
    filters: dict[str, list[str]]
    dimensions: dict[str, str]
    start: datetime
    end: datetime
    quantity: Fraction
    events: int
    amount: Fraction
    net_minor: int
    """The amount rounded once, half-even; without tax."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    tax_category: str = ""
    tax_rate: Decimal = Decimal(0)

    @property
    def key(self) -> tuple[object, ...]:
        """What its corrections have in common with it."""
        return self.card, self.product, tuple(sorted(self.dimensions.items())), self.start, self.end


RatedPart = tuple[Line, TaxBehaviour]
"""A line before taxes, and whether its amount contains tax."""


@dataclass(frozen=True, slots=True)
class TaxLine:
    """The tax of one category and rate."""

    category: str
    rate: Decimal
    base_minor: int
    tax_minor: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice or credit note. Amounts are minor units; a credit note's are negative."""

    invoice_id: UUID
    cause: str
    """What it is for; there is one invoice for each cause."""
    kind: Literal["invoice", "credit_note"]
    status: InvoiceStatus
    mode: Mode
    entity_code: str
    number: str | None
    currency: str
    subscription_id: UUID | None
    corrects_id: UUID | None
    period_start: datetime
    period_end: datetime
    basis: Basis
    net_minor: int = 0
    tax_minor: int = 0
    gross_minor: int = 0
    paid_minor: int = 0
    credited_minor: int = 0
    """What credit notes took off it."""
    taxes: tuple[TaxLine, ...] = ()
    seller: LegalEntity | None = None
    buyer: BillingProfile | None = None
    """Both as they were when it became final."""
    issued_at: datetime | None = None
    due_at: datetime | None = None
    reminders: int = 0
    """How many were sent since it is overdue."""
    lines: tuple[Line, ...] = ()

    @property
    def due_minor(self) -> int:
        """What is still to be paid."""
        return max(0, self.gross_minor - self.paid_minor - self.credited_minor)


@dataclass(frozen=True, slots=True)
class Charge:
    """A line of a final invoice, and the share of its span that lies in a time that is looked at."""

    invoice_id: UUID
    number: str
    line: Line
    share: Fraction

    @property
    def exact_minor(self) -> Fraction:
        return self.line.net_minor * self.share


@dataclass(frozen=True, slots=True)
class Charges:
    """What a time was charged with, by invoices that are final and neither taken back nor given up."""

    currency: str | None
    """None when there is none."""
    invoice_id: UUID | None
    """The newest of these invoices: what a credit note for this time corrects."""
    charges: tuple[Charge, ...]
    base_minor: int
    """Their sum without tax, rounded once, half-even, and not below zero."""


@dataclass(frozen=True, slots=True)
class ServiceCredit:
    """What is given back of a time's charges, and why."""

    cause: str
    """There is one credit note for each."""
    amount_minor: int
    """Without tax; at most the base of the charges."""
    names: Mapping[str, str]
    """What documents call it, by language; `en` is there."""
    start: datetime
    end: datetime
    step: dict[str, Any]
    """What the lines say of how it came about."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Events, and what a meter makes of them in its unit, added up over spans and groups."""

    events: int = 0
    quantity: Fraction | None = Fraction(0)
    """None where adding up means nothing: usage outside of what is sold, of meters that do not sum."""


NOTHING = Counted()
SaleState = Literal["sold", "not sold", "not due", "taken back"]
"""Of usage: a price sells it; none does, or nothing is billed while it was used; a later invoice will be for it; its
invoice was taken back."""


@dataclass(frozen=True, slots=True)
class MeterAccount:
    """The live usage of one meter, in one state, as each record has it. What two prices sell is counted for each."""

    meter: str
    state: SaleState
    events: Counted
    """The raw events, each once."""
    rollups: Counted
    invoices: Counted = NOTHING
    """Lines of final invoices and of their corrections, and of invoices that came to nothing."""
    upcoming: Counted = NOTHING
    """Lines of drafts and of the upcoming invoice, as they come to now."""


@dataclass(frozen=True, slots=True)
class BookedInvoices:
    """What the invoices and credit notes with a number come to in a currency without tax, and the books have of it."""

    currency: str
    invoices: int
    net_minor: int
    booked_nanos: int
    """Revenue, earned and deferred."""


@dataclass(frozen=True, slots=True)
class UsageAccount:
    """A tenant's live usage beside what bills it."""

    meters: tuple[MeterAccount, ...]
    books: tuple[BookedInvoices, ...]
    differences: tuple[Difference, ...]
