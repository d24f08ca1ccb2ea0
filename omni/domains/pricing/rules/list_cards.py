"""List prices as rate cards, for usage of tenants whose plan has no version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from omni.contracts.money import ANY_MODEL, price_sources
from omni.contracts.usage import METERS
from omni.domains.pricing.contracts import (
    DatedCard,
    DimensionRate,
    Filter,
    PerDimension,
    PerUnit,
    Price,
    RateCard,
    UnitPrice,
)
from omni.domains.pricing.rules.list_prices import price_at

LIST_PRODUCT = "usage"
"""The product of list prices."""


def default_cards(prices: Sequence[Price], currency: str) -> list[DatedCard]:
    """The cards that price every meter as `price_at` does, by meter and start.

    A card holds for as long as a meter's prices stay what they are, so a price that changes within a period makes two
    lines; prices begin on full hours, and so do cards. Where models have prices of their own, there is a line for each
    model. Usage that has no price (before the first one, or of a model that has none while its meter has none for any)
    is in no card; `price_at` finds None for it.
    """
    known = [price for price in prices if price.currency == currency]
    priced = {price.meter for price in known}
    meters = priced | {meter for meter in METERS if any(source in priced for source, _ in price_sources(meter))}
    return [card for meter in sorted(meters) for card in _cards_of(known, meter, currency)]


def _cards_of(prices: Sequence[Price], meter: str, currency: str) -> Iterable[DatedCard]:
    sources = [source for source, _ in price_sources(meter)]
    mine = [price for price in prices if price.meter in sources]
    models = sorted({price.model for price in mine} - {ANY_MODEL})
    segments: list[tuple[datetime, RateCard | None]] = []
    for start in sorted({price.valid_from for price in mine}):
        card = _card_at(mine, meter, models, start, currency)
        if not segments or _meaning(card) != _meaning(segments[-1][1]):
            segments.append((start, card))
    for index, (start, card) in enumerate(segments):
        if card is not None:
            yield DatedCard(card, start, segments[index + 1][0] if index + 1 < len(segments) else None)


def _meaning(card: RateCard | None) -> object:
    return None if card is None else (card.price, card.filters)


def _card_at(
    prices: Sequence[Price], meter: str, models: Sequence[str], start: datetime, currency: str
) -> RateCard | None:
    default = _unit_price(price_at(prices, meter, start))
    own = {model: _unit_price(price_at(prices, meter, start, model)) for model in models}
    rates = tuple(
        DimensionRate((model,), price) for model, price in own.items() if price is not None and price != default
    )
    filters: tuple[Filter, ...] = ()
    if rates and default is None:
        filters = (Filter("model", tuple(rate.values[0] for rate in rates)),)
    price = PerDimension(("model",), rates, default) if rates else PerUnit(default) if default else None
    if price is None:
        return None
    name = meter.replace("_", " ").capitalize()
    code = f"list.{meter}.{start:%Y%m%d%H}"
    return RateCard(code, LIST_PRODUCT, name, currency, price, meter, filters=filters)


def _unit_price(price: Price | None) -> UnitPrice | None:
    return None if price is None else UnitPrice(price.price_nanos, price.per_quantity)
