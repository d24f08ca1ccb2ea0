"""What is rated, and what rating comes to: exact fractions of the currency's unit.

They are rounded once, per invoice line, by `omni.kit.money.line_minor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Protocol


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


@dataclass(frozen=True, slots=True)
class Quantity:
    """Usage of a card's meter with these dimensions."""

    dimensions: tuple[tuple[str, str], ...]
    quantity: Fraction
    events: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """One event that is priced by itself. `price` is what the event says that it costs, in units of the currency."""

    dimensions: tuple[tuple[str, str], ...]
    value: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CardUsage:
    """What one rate card rates: quantities, or transactions."""

    quantities: Sequence[Measured] = ()
    transactions: Sequence[Transacted] = ()


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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
