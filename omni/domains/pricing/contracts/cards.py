"""Prices and rate cards. Rate cards check their own shape; `rules.checks` checks what they mean.

Money is integer nano-units of the card's currency; quantities of units are exact decimals.
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from omni.contracts.money import ANY_MODEL
from omni.domains.pricing.contracts.fields import (
    STRICT,
    Code,
    Count,
    Currency,
    Dimension,
    Label,
    Minor,
    Nanos,
    Percent,
    Units,
    Value,
)


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


Timing = Literal["in_advance", "in_arrears"]


@dataclass(frozen=True, slots=True, config=STRICT)
class UnitPrice:
    """`per_quantity` units cost `price_nanos` nano-units of the currency; parts cost their exact share."""

    price_nanos: Nanos
    per_quantity: Count = 1


@dataclass(frozen=True, slots=True, config=STRICT)
class Tier:
    """The units above the tier before, up to and including `up_to`; None = all above.

    `flat_nanos` is due once when any unit falls into the tier.
    """

    up_to: Units | None
    price: UnitPrice
    flat_nanos: Nanos = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class Flat:
    """A fee that does not depend on usage: for each billing period, or once (an add-on) when not recurring."""

    price_nanos: Nanos
    timing: Timing = "in_advance"
    recurring: bool = True
    kind: Literal["flat"] = "flat"


@dataclass(frozen=True, slots=True, config=STRICT)
class Seat:
    """A fee for each seat and billing period. Seats come with the subscription; a card for them has no meter."""

    price_nanos: Nanos
    timing: Timing = "in_advance"
    kind: Literal["seat"] = "seat"


@dataclass(frozen=True, slots=True, config=STRICT)
class PerUnit:
    """Every unit costs the same."""

    price: UnitPrice
    kind: Literal["per_unit"] = "per_unit"


@dataclass(frozen=True, slots=True, config=STRICT)
class Graduated:
    """Each unit costs what the tier says that it falls into."""

    tiers: tuple[Tier, ...]
    kind: Literal["graduated"] = "graduated"


@dataclass(frozen=True, slots=True, config=STRICT)
class Volume:
    """All units cost what the tier says that their total falls into."""

    tiers: tuple[Tier, ...]
    kind: Literal["volume"] = "volume"


@dataclass(frozen=True, slots=True, config=STRICT)
class Package:
    """Units are sold in packages of `size`; a package that is begun is paid in full."""

    price_nanos: Nanos
    size: Count
    kind: Literal["package"] = "package"


@dataclass(frozen=True, slots=True, config=STRICT)
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


@dataclass(frozen=True, slots=True, config=STRICT)
class DimensionRate:
    """What a unit costs for these values of the card's dimensions, in their order."""

    values: tuple[Value, ...]
    price: UnitPrice


@dataclass(frozen=True, slots=True, config=STRICT)
class PerDimension:
    """A unit costs what its dimensions say (a price per model, say).

    `default` holds for every other combination; without one, usage of another combination is refused.
    """

    dimensions: tuple[Dimension, ...]
    rates: tuple[DimensionRate, ...]
    default: UnitPrice | None = None
    kind: Literal["per_dimension"] = "per_dimension"


@dataclass(frozen=True, slots=True, config=STRICT)
class PriceInEvent:
    """Each event says what it costs (dynamic pricing)."""

    kind: Literal["price_in_event"] = "price_in_event"


PriceModel = Annotated[
    Flat | Seat | PerUnit | Graduated | Volume | Package | Percentage | PerDimension | PriceInEvent,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True, config=STRICT)
class Filter:
    """Only usage whose dimension has one of the values counts."""

    dimension: Dimension
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, config=STRICT)
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
