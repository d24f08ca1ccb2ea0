"""What a quantity comes to under each price model, step by step. Definitions: README.md of this domain."""

from __future__ import annotations

from fractions import Fraction

from omni.domains.pricing.contracts import (
    DimensionRate,
    Flat,
    Graduated,
    Package,
    PerDimension,
    PerUnit,
    PriceModel,
    Seat,
    Step,
    StepKind,
    Tier,
    UnitPrice,
    Volume,
)
from omni.kit.errors import Unprocessable
from omni.kit.money import NANO_DIGITS

_NANOS = 10**NANO_DIGITS
_NOTHING = Fraction(0)


def money(nanos: int) -> Fraction:
    """Nano-units as units of the currency."""
    return Fraction(nanos, _NANOS)


def priced(kind: StepKind, units: Fraction, price: UnitPrice, tier: tuple[Tier | None, Tier] | None = None) -> Step:
    """`units` at `price`; `tier` is the tier before and the one that they are in."""
    amount = units * Fraction(price.price_nanos, price.per_quantity * _NANOS)
    below, inside = tier or (None, None)
    return Step(
        kind,
        units,
        amount,
        price.price_nanos,
        price.per_quantity,
        above=below.up_to if below else None,
        up_to=inside.up_to if inside else None,
    )


def usage_steps(price: PriceModel, units: Fraction, values: tuple[str, ...] = ()) -> list[Step]:
    """What `units` (≥ 0, included ones taken off) come to; `values` are those of a PerDimension's dimensions.

    Raises Unprocessable `no_rate_for_dimensions`; TypeError for a model that rates transactions, ValueError for tiers
    that `check_card` refuses.
    """
    match price:
        case Flat():
            return [priced("flat", Fraction(1), UnitPrice(price.price_nanos))]
        case Seat():
            return [priced("seats", units, UnitPrice(price.price_nanos))]
        case PerUnit():
            return [priced("units", units, price.price)]
        case PerDimension():
            return [priced("units", units, _rate_of(price, values))]
        case Package():
            packages = -(-units // price.size)
            return [priced("packages", Fraction(packages), UnitPrice(price.price_nanos))]
        case Graduated():
            return _graduated(price.tiers, units)
        case Volume():
            return _volume(price.tiers, units)
    raise TypeError(f"{price.kind} prices transactions, not units")


def _rate_of(price: PerDimension, values: tuple[str, ...]) -> UnitPrice:
    own: DimensionRate | None = next((rate for rate in price.rates if rate.values == values), None)
    found = own.price if own else price.default
    if found is None:
        named = ", ".join(f"{name} = {value or 'empty'}" for name, value in zip(price.dimensions, values, strict=True))
        raise Unprocessable(
            "no_rate_for_dimensions", f"The rate card has no rate for {named}, and no default. Add one of them."
        )
    return found


def _graduated(tiers: tuple[Tier, ...], units: Fraction) -> list[Step]:
    steps: list[Step] = []
    before, reached = None, _NOTHING
    for tier in tiers:
        if units <= reached:
            break
        end = units if tier.up_to is None else min(units, Fraction(tier.up_to))
        steps += _tier_steps(before, tier, end - reached)
        before, reached = tier, end
    if reached < units:
        raise ValueError("the last tier is not open")
    return steps


def _volume(tiers: tuple[Tier, ...], units: Fraction) -> list[Step]:
    if not units:
        return []
    before = None
    for tier in tiers:
        if tier.up_to is None or units <= Fraction(tier.up_to):
            return _tier_steps(before, tier, units)
        before = tier
    raise ValueError("the last tier is not open")


def _tier_steps(before: Tier | None, tier: Tier, units: Fraction) -> list[Step]:
    steps = [priced("tier", units, tier.price, (before, tier))]
    if tier.flat_nanos:
        steps.append(priced("tier_flat", Fraction(1), UnitPrice(tier.flat_nanos), (before, tier)))
    return steps
