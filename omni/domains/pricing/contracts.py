"""What others see of prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Price:
    """`per_quantity` units of the meter cost `price_nanos` nano-units of the currency, from `valid_from` on."""

    meter: str
    currency: str
    valid_from: datetime
    price_nanos: int
    per_quantity: int
