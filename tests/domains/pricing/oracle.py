"""What a rate card comes to, computed another way: slice by slice of an eighth of a unit, event by event.

Written from the definitions in the domain's README, not from the code. Quantities, tier bounds and included units must
be multiples of an eighth.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from omni.domains.pricing.contracts import (
    Flat,
    Graduated,
    Measured,
    Package,
    Percentage,
    PerDimension,
    PerUnit,
    PriceInEvent,
    RateCard,
    Seat,
    Tier,
    Transacted,
    UnitPrice,
    Volume,
)

SLICE = Fraction(1, 8)
EXPONENT = {"EUR": 2, "JPY": 0, "BHD": 3}


def nanos(amount: int) -> Fraction:
    return Fraction(amount, 1_000_000_000)


def of_units(price: UnitPrice, units: Fraction) -> Fraction:
    return units * nanos(price.price_nanos) / price.per_quantity


def tier_of(tiers: Sequence[Tier], position: Fraction) -> int:
    """Which tier the unit that ends at `position` is in."""
    return next(i for i, tier in enumerate(tiers) if tier.up_to is None or position <= Fraction(tier.up_to))


def of_slices(card: RateCard, values: dict[str, str], slices: int) -> Fraction:
    """What so many billable slices of one line come to."""
    price = card.price
    if isinstance(price, PerUnit):
        return sum((of_units(price.price, SLICE) for _ in range(slices)), Fraction(0))
    if isinstance(price, PerDimension):
        wanted = tuple(values[name] for name in price.dimensions)
        own = {rate.values: rate.price for rate in price.rates}.get(wanted, price.default)
        assert own is not None
        return sum((of_units(own, SLICE) for _ in range(slices)), Fraction(0))
    if isinstance(price, Seat):
        return nanos(price.price_nanos) * slices / 8
    if isinstance(price, Package):
        bought, packages = 0, 0
        while bought < slices:
            bought += price.size * 8
            packages += 1
        return packages * nanos(price.price_nanos)
    if isinstance(price, Graduated):
        touched = [tier_of(price.tiers, SLICE * n) for n in range(1, slices + 1)]
        paid = sum((of_units(price.tiers[index].price, SLICE) for index in touched), Fraction(0))
        return paid + sum((nanos(price.tiers[index].flat_nanos) for index in set(touched)), Fraction(0))
    assert isinstance(price, Volume)
    if not slices:
        return Fraction(0)
    tier = price.tiers[tier_of(price.tiers, SLICE * slices)]
    return of_units(tier.price, SLICE * slices) + nanos(tier.flat_nanos)


def of_transactions(price: Percentage, values: Sequence[Fraction]) -> list[Fraction]:
    """What each transaction pays, in turn."""
    paid = []
    for index, value in enumerate(values):
        earlier = sum(values[:index], Fraction(0))
        in_count = price.free_transactions is None or index < price.free_transactions
        in_value = price.free_value is None or earlier < Fraction(price.free_value)
        limited = price.free_transactions is not None or price.free_value is not None
        rest = value
        if limited and in_count and in_value:
            room = value if price.free_value is None else max(Fraction(0), Fraction(price.free_value) - earlier)
            rest = max(Fraction(0), value - room)
            if rest == 0:
                paid.append(Fraction(0))
                continue
        due = rest * Fraction(price.percent) / 100 + nanos(price.fixed_nanos)
        if price.minimum_nanos is not None:
            due = max(due, nanos(price.minimum_nanos))
        if price.maximum_nanos is not None:
            due = min(due, nanos(price.maximum_nanos))
        paid.append(due)
    return paid


def lines_of(
    card: RateCard, measured: Sequence[Measured], transactions: Sequence[Transacted] = ()
) -> dict[tuple[str, ...], Fraction]:
    """What each line comes to before the card's minimum and maximum, by the values of its dimensions."""
    names = list(card.group_by)
    if isinstance(card.price, PerDimension):
        names += [name for name in card.price.dimensions if name not in names]
    if isinstance(card.price, Flat):
        return {(): nanos(card.price.price_nanos)}
    totals: dict[tuple[str, ...], Fraction] = {}
    if isinstance(card.price, Percentage | PriceInEvent):
        counted = [each for each in transactions if passes(card, each.dimensions)]
        prices = (
            [Fraction(each.price or 0) for each in counted]
            if isinstance(card.price, PriceInEvent)
            else of_transactions(card.price, [Fraction(each.value) for each in counted])
        )
        for each, paid in zip(counted, prices, strict=True):
            key = tuple(dict(each.dimensions)[name] for name in names)
            totals[key] = totals.get(key, Fraction(0)) + paid
        return totals
    slices: dict[tuple[str, ...], int] = {}
    for use in measured:
        if passes(card, use.dimensions):
            key = tuple(dict(use.dimensions)[name] for name in names)
            slices[key] = slices.get(key, 0) + int(use.quantity / SLICE)
    free = int(Fraction(card.included_units) / SLICE)
    for key in sorted(slices):
        billable = 0
        for _ in range(slices[key]):
            if free:
                free -= 1
            else:
                billable += 1
        totals[key] = of_slices(card, dict(zip(names, key, strict=True)), billable)
    return totals


def passes(card: RateCard, dimensions: tuple[tuple[str, str], ...]) -> bool:
    found = dict(dimensions)
    return all(each.dimension not in found or found[each.dimension] in each.values for each in card.filters)


def minor(amount: Fraction, currency: str) -> int:
    """Rounded half-even: Python's own rounding of fractions."""
    whole: int = round(amount * 10 ** EXPONENT[currency])
    return whole
