"""Rate cards and usage by chance, for property tests."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

from omni.domains.pricing.contracts import (
    DimensionRate,
    Filter,
    Flat,
    Graduated,
    Package,
    Percentage,
    PerDimension,
    PerUnit,
    PriceInEvent,
    PriceModel,
    Quantity,
    RateCard,
    Seat,
    Tier,
    Transaction,
    UnitPrice,
    Volume,
)

MODELS, PROJECTS = ("", "gpt-x", "llama"), ("a", "b")


def card(price: PriceModel, currency: str = "EUR", **members: object) -> RateCard:
    """A card for `price`."""
    meter = None if isinstance(price, Flat | Seat) else "input_tokens"
    return RateCard("card", "api", "Card", currency, price, meter, **members)  # type: ignore[arg-type]


def eighths(chance: random.Random, most: int) -> Decimal:
    return Decimal(chance.randrange(most * 8)) / 8


def unit_price(chance: random.Random) -> UnitPrice:
    return UnitPrice(
        chance.choice((0, 1, 100, 333_333_333, chance.randrange(10**12))), chance.choice((1, 3, 1000, 10**6))
    )


def tiers(chance: random.Random) -> tuple[Tier, ...]:
    made, reached = [], Decimal(0)
    for _ in range(chance.randrange(4)):
        reached += eighths(chance, 12) + Decimal("0.125")
        made.append(Tier(reached, unit_price(chance), chance.choice((0, chance.randrange(10**10)))))
    return (*made, Tier(None, unit_price(chance), chance.choice((0, chance.randrange(10**10)))))


def percentage(chance: random.Random) -> Percentage:
    low = chance.choice((None, chance.randrange(10**9)))
    high = chance.choice((None, (low or 0) + chance.randrange(10**9)))
    return Percentage(
        Decimal(chance.randrange(10_000)) / 100,
        chance.choice((0, chance.randrange(10**9))),
        chance.choice((None, chance.randrange(1, 5))),
        chance.choice((None, eighths(chance, 40))),
        low,
        high,
    )


def per_dimension(chance: random.Random) -> PerDimension:
    rates = tuple(DimensionRate((model,), unit_price(chance)) for model in MODELS if chance.random() < 0.7)
    return PerDimension(("model",), rates, unit_price(chance))


def price_model(chance: random.Random) -> PriceModel:
    return chance.choice(
        (
            lambda: Flat(chance.randrange(10**12)),
            lambda: Seat(chance.randrange(10**12)),
            lambda: PerUnit(unit_price(chance)),
            lambda: Graduated(tiers(chance)),
            lambda: Volume(tiers(chance)),
            lambda: Package(chance.randrange(10**10), chance.randrange(1, 9)),
            lambda: percentage(chance),
            lambda: per_dimension(chance),
            PriceInEvent,
        )
    )()


def random_card(chance: random.Random, currency: str) -> RateCard:
    """Any card that `check_card` accepts."""
    price = price_model(chance)
    if isinstance(price, Flat):
        return card(price, currency)
    members: dict[str, object] = {}
    if not isinstance(price, Percentage | PriceInEvent):
        units = eighths(chance, 10)
        members["included_units"] = Decimal(int(units)) if isinstance(price, Seat) else units
    if not isinstance(price, Seat):
        members["group_by"] = chance.choice(((), ("project",), ("project", "model")))
        members["filters"] = chance.choice(((), (Filter("project", ("a",)),)))
    if chance.random() < 0.3:
        members["minimum_minor"] = chance.randrange(2000)
    if chance.random() < 0.3:
        low = members.get("minimum_minor", 0)
        assert isinstance(low, int)
        members["maximum_minor"] = low + chance.randrange(2000)
    return card(price, currency, **members)


def random_usage(chance: random.Random, of: RateCard) -> tuple[list[Quantity], list[Transaction]]:
    """Usage that fits the card."""
    places = [
        (("model", chance.choice(MODELS)), ("project", chance.choice(PROJECTS))) for _ in range(chance.randrange(6))
    ]
    if isinstance(of.price, Flat):
        return [], []
    if isinstance(of.price, Percentage | PriceInEvent):
        return [], [Transaction(place, eighths(chance, 30), eighths(chance, 30)) for place in places]
    if isinstance(of.price, Graduated | Volume) and places and chance.random() < 0.3:
        bound = chance.choice(of.price.tiers).up_to or Decimal(0)
        return [Quantity(places[0], Fraction(bound) + Fraction(of.included_units), 1)], []
    step = 1 if isinstance(of.price, Seat) else Fraction(1, 8)
    return [Quantity(place, chance.randrange(200) * step * Fraction(1), 1) for place in places], []
