"""Which price holds when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from omni.domains.pricing.contracts import Price


def price_at(prices: Sequence[Price], meter: str, moment: datetime) -> Price | None:
    """The price of a meter at an instant: the newest that has begun; None before the first."""
    begun = [price for price in prices if price.meter == meter and price.valid_from <= moment]
    return max(begun, key=lambda price: price.valid_from, default=None)
