"""What others see of the price book. Rate cards check their own shape; `rules.checks` checks what they mean.

Money in a rate card is integer nano-units of the card's currency; quantities of units are exact decimals. What rating
comes to is exact fractions of the currency's unit, rounded once, per invoice line (`omni.kit.money.line_minor`).
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, Protocol

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from omni.contracts.money import ANY_MODEL

_STRICT = ConfigDict(extra="forbid")


@plain_dataclass(frozen=True, slots=True)
class Price:
    """`per_quantity` units of the meter cost `price_nanos` nano-units of the currency, from `valid_from` on."""

    meter: str
    currency: str
    valid_from: datetime
    price_nanos: int
    per_quantity: int
    model: str = ANY_MODEL
    """The model that it holds for; empty = every model without a price of its own for the meter."""


def _no_float(value: object) -> object:
    if not isinstance(value, int | str | Decimal):
        raise ValueError('write it as a string, such as "2.5": a number with a point is not exact')
    return value


Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Label = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Dimension = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
Value = Annotated[str, Field(max_length=200)]
Nanos = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Minor = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
Units = Annotated[
    Decimal, BeforeValidator(_no_float), Field(ge=0, allow_inf_nan=False, max_digits=30, decimal_places=12)
]
Percent = Annotated[
    Decimal, BeforeValidator(_no_float), Field(ge=0, le=100, allow_inf_nan=False, max_digits=15, decimal_places=12)
]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Timing = Literal["in_advance", "in_arrears"]


@dataclass(frozen=True, slots=True, config=_STRICT)
class UnitPrice:
    """`per_quantity` units cost `price_nanos` nano-units of the currency; parts cost their exact share."""

    price_nanos: Nanos
    per_quantity: Count = 1


@dataclass(frozen=True, slots=True, config=_STRICT)
class Tier:
    """The units above the tier before, up to and including `up_to`; None = all above.

    `flat_nanos` is due once when any unit falls into the tier.
    """

    up_to: Units | None
    price: UnitPrice
    flat_nanos: Nanos = 0


@dataclass(frozen=True, slots=True, config=_STRICT)
class Flat:
    """A fee that does not depend on usage: for each billing period, or once (an add-on) when not recurring."""

    price_nanos: Nanos
    timing: Timing = "in_advance"
    recurring: bool = True
    kind: Literal["flat"] = "flat"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Seat:
    """A fee for each seat and billing period. Seats come with the subscription; a card for them has no meter."""

    price_nanos: Nanos
    timing: Timing = "in_advance"
    kind: Literal["seat"] = "seat"


@dataclass(frozen=True, slots=True, config=_STRICT)
class PerUnit:
    """Every unit costs the same."""

    price: UnitPrice
    kind: Literal["per_unit"] = "per_unit"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Graduated:
    """Each unit costs what the tier says that it falls into."""

    tiers: tuple[Tier, ...]
    kind: Literal["graduated"] = "graduated"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Volume:
    """All units cost what the tier says that their total falls into."""

    tiers: tuple[Tier, ...]
    kind: Literal["volume"] = "volume"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Package:
    """Units are sold in packages of `size`; a package that is begun is paid in full."""

    price_nanos: Nanos
    size: Count
    kind: Literal["package"] = "package"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Percentage:
    """A share of the value of each transaction, and a fixed part.

    Free are the first `free_transactions`, or what lies within the first `free_value` of all values together; where
    both are set, the one that is used up first ends it. A transaction that is free in part pays the share of the rest
    and the whole fixed part. What a transaction pays, unless it is free, is at least `minimum_nanos` and at most
    `maximum_nanos`.
    """

    percent: Percent
    fixed_nanos: Nanos = 0
    free_transactions: Count | None = None
    free_value: Units | None = None
    minimum_nanos: Nanos | None = None
    maximum_nanos: Nanos | None = None
    kind: Literal["percentage"] = "percentage"


@dataclass(frozen=True, slots=True, config=_STRICT)
class DimensionRate:
    """What a unit costs for these values of the card's dimensions, in their order."""

    values: tuple[Value, ...]
    price: UnitPrice


@dataclass(frozen=True, slots=True, config=_STRICT)
class PerDimension:
    """A unit costs what its dimensions say (a price per model, say).

    `default` holds for every other combination; without one, usage of another combination is refused.
    """

    dimensions: tuple[Dimension, ...]
    rates: tuple[DimensionRate, ...]
    default: UnitPrice | None = None
    kind: Literal["per_dimension"] = "per_dimension"


@dataclass(frozen=True, slots=True, config=_STRICT)
class PriceInEvent:
    """Each event says what it costs (dynamic pricing)."""

    kind: Literal["price_in_event"] = "price_in_event"


PriceModel = Annotated[
    Flat | Seat | PerUnit | Graduated | Volume | Package | Percentage | PerDimension | PriceInEvent,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Filter:
    """Only usage whose dimension has one of the values counts."""

    dimension: Dimension
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, config=_STRICT)
class RateCard:
    """What one thing costs: a fee, seats, or the usage of a meter.

    `included_units` are taken off before tiers and packages. `group_by` asks for a line for each combination of these
    dimensions; tiers and packages then begin anew in each. All lines of a billing period together come to at least
    `minimum_minor` and at most `maximum_minor` (minor units of the currency).
    """

    code: Code
    product: Code
    name: Label
    currency: Currency
    price: PriceModel
    meter: Code | None = None
    included_units: Units = Decimal(0)
    filters: tuple[Filter, ...] = ()
    group_by: tuple[Dimension, ...] = ()
    minimum_minor: Minor | None = None
    maximum_minor: Minor | None = None


@plain_dataclass(frozen=True, slots=True)
class DatedCard:
    """A rate card and when it holds: from `valid_from` on and before `valid_until`; None = without an end."""

    card: RateCard
    valid_from: datetime
    valid_until: datetime | None


class Measured(Protocol):
    """Usage of a card's meter with these dimensions. Metering delivers it; `Quantity` is one."""

    @property
    def dimensions(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def quantity(self) -> Fraction: ...
    @property
    def events(self) -> int: ...


class Transacted(Protocol):
    """One event that is priced by itself; in the order in which they happened. `Transaction` is one.

    `value` is in units of the currency for percentages, in units of the meter for prices in events.
    """

    @property
    def dimensions(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def value(self) -> Decimal: ...
    @property
    def price(self) -> Decimal | None: ...


@plain_dataclass(frozen=True, slots=True)
class Quantity:
    """Usage of a card's meter with these dimensions."""

    dimensions: tuple[tuple[str, str], ...]
    quantity: Fraction
    events: int


@plain_dataclass(frozen=True, slots=True)
class Transaction:
    """One event that is priced by itself. `price` is what the event says that it costs, in units of the currency."""

    dimensions: tuple[tuple[str, str], ...]
    value: Decimal
    price: Decimal | None = None


StepKind = Literal[
    "flat",
    "seats",
    "included",
    "units",
    "tier",
    "tier_flat",
    "packages",
    "free_value",
    "percentage",
    "fixed",
    "raised_to_minimum",
    "lowered_to_maximum",
    "price_in_event",
    "card_minimum",
    "card_maximum",
    "commitment",
]


@plain_dataclass(frozen=True, slots=True)
class Step:
    """A part of a line's amount, for the customer to check: `quantity` at a price is `amount`.

    The price is `price_nanos` for `per_quantity`, or `percent`. A tier's step counts the units above `above` and up to
    `up_to`. `amount` is exact, in units of the currency; the steps of a line add up to its amount.
    """

    kind: StepKind
    quantity: Fraction
    amount: Fraction
    price_nanos: int | None = None
    per_quantity: int | None = None
    percent: Decimal | None = None
    above: Decimal | None = None
    up_to: Decimal | None = None


@plain_dataclass(frozen=True, slots=True)
class RatedLine:
    """One line: what a card comes to for these dimensions, exact, in units of the currency, not rounded.

    `quantity` is all that was used; `included` of it is covered by the card's included units. For percentages and
    prices in events, `quantity` is the sum of the values and `events` the number of transactions.
    """

    card: str
    dimensions: tuple[tuple[str, str], ...]
    quantity: Fraction
    included: Fraction
    events: int
    amount: Fraction
    steps: tuple[Step, ...]
