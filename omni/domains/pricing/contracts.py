"""What others see of prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from omni.contracts.money import ANY_MODEL


@dataclass(frozen=True, slots=True)
class Price:
    """`per_quantity` units of the meter cost `price_nanos` nano-units of the currency, from `valid_from` on."""

    meter: str
    currency: str
    valid_from: datetime
    price_nanos: int
    per_quantity: int
    model: str = ANY_MODEL
    """The model that it holds for; empty = every model without a price of its own for the meter."""
