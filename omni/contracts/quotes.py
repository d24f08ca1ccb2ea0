"""What a job may use and cost: agreed before it begins, held to by the gateway while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omni.contracts import usage
from omni.contracts.money import Rate, amount_nanos

QUOTED_METERS = (usage.TRAINING_MS, usage.PREDICTIONS)
"""Meters of jobs that compute."""


@dataclass(frozen=True, slots=True)
class Term:
    """Up to `most` units of a meter, at the price of the day of the quote: `per_quantity` units for `price_nanos`."""

    most: int
    price_nanos: int
    per_quantity: int


Terms = Mapping[str, Term]
"""By meter. What is used of other meters is not charged."""


def to_row(terms: Terms) -> dict[str, list[int]]:
    """As JSON."""
    return {meter: [term.most, term.price_nanos, term.per_quantity] for meter, term in terms.items()}


def from_row(row: Mapping[str, Any]) -> dict[str, Term]:
    """The terms of `to_row`. Raises TypeError for what is none."""
    return {meter: Term(*term) for meter, term in row.items()}


def cost_nanos(terms: Terms, quantities: Mapping[str, int] | None = None) -> int:
    """What quantities cost by the quote; None = all that may be used."""
    if quantities is None:
        quantities = {meter: term.most for meter, term in terms.items()}
    return amount_nanos(dict(quantities), {m: Rate(0, t.price_nanos, t.per_quantity) for m, t in terms.items()})


def billable(terms: Terms, used: Mapping[str, int], rates: Mapping[str, Rate]) -> dict[str, int]:
    """What of the quantities is billed at today's `rates`, so that it costs no more than they cost by the quote."""
    agreed = {meter: min(used[meter], term.most) for meter, term in terms.items() if used.get(meter)}
    left_nanos = cost_nanos(terms, agreed)
    billed: dict[str, int] = {}
    for meter, quantity in agreed.items():
        rate = rates.get(meter)
        billed[meter] = quantity
        if rate is not None and rate.price_nanos > 0:
            billed[meter] = min(quantity, left_nanos * rate.per_quantity // rate.price_nanos)
            left_nanos -= amount_nanos({meter: billed[meter]}, {meter: rate})
    return {meter: quantity for meter, quantity in billed.items() if quantity}
