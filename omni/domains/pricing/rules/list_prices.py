"""List prices: which one holds when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from omni.contracts.money import ANY_MODEL, PriceBook, Rate, price_sources
from omni.domains.pricing.contracts import Price


def price_at(prices: Sequence[Price], meter: str, moment: datetime, model: str = ANY_MODEL) -> Price | None:
    """The price of a meter for a model at an instant: the newest that has begun; None before the first.

    As `omni.contracts.money.PriceBook.rates_at`: a model's own price goes before that of any model, and a meter's own
    before its fallback; what is used in a batch costs a part of what it costs else.
    """
    for wanted, divisor in price_sources(meter):
        for name in (model, ANY_MODEL):
            begun = [p for p in prices if p.meter == wanted and p.model == name and p.valid_from <= moment]
            if begun:
                newest = max(begun, key=lambda price: price.valid_from)
                return replace(newest, per_quantity=divisor * newest.per_quantity)
    return None


def price_book(prices: Sequence[Price], currency: str) -> PriceBook:
    """What the gateways need of the prices in one currency."""
    rates: dict[str, dict[str, tuple[Rate, ...]]] = {}
    for price in sorted(prices, key=lambda each: each.valid_from):
        if price.currency == currency:
            at_micros = int(price.valid_from.timestamp()) * 1_000_000
            meters = rates.setdefault(price.model, {})
            rate = Rate(at_micros, price.price_nanos, price.per_quantity)
            meters[price.meter] = (*meters.get(price.meter, ()), rate)
    return PriceBook(currency, rates)
