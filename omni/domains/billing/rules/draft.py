"""From usage and prices to invoice lines, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from omni.domains.billing.contracts import InvoiceLine
from omni.kit.money import line_amount_minor


class Usage(Protocol):
    """Usage of one meter in one hour."""

    @property
    def meter(self) -> str: ...
    @property
    def hour(self) -> datetime: ...
    @property
    def quantity(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def model(self) -> str: ...


class AppliedPrice(Protocol):
    """The price that holds in an hour."""

    @property
    def price_nanos(self) -> int: ...
    @property
    def per_quantity(self) -> int: ...
    @property
    def model(self) -> str: ...


class PriceOf(Protocol):
    """Finds the price of a meter at an instant for a model."""

    def __call__(self, meter: str, moment: datetime, model: str) -> AppliedPrice | None: ...


def invoice_lines(
    usage: Sequence[Usage], price_of: PriceOf, currency: str
) -> tuple[tuple[InvoiceLine, ...], tuple[str, ...]]:
    """A line for each meter, model with a price of its own, and price; and the meters without a price."""
    totals: dict[tuple[str, str, int, int], tuple[int, int]] = {}
    unpriced: set[str] = set()
    for hour in usage:
        price = price_of(hour.meter, hour.hour, hour.model)
        if price is None:
            unpriced.add(hour.meter)
            continue
        key = (hour.meter, price.model, price.price_nanos, price.per_quantity)
        quantity, events = totals.get(key, (0, 0))
        totals[key] = (quantity + hour.quantity, events + hour.events)
    lines = tuple(
        InvoiceLine(
            meter,
            quantity,
            events,
            nanos,
            per_quantity,
            line_amount_minor(quantity, nanos, per_quantity, currency),
            model,
        )
        for (meter, model, nanos, per_quantity), (quantity, events) in sorted(totals.items())
    )
    return lines, tuple(sorted(unpriced))
