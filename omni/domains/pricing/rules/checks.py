"""Whether a rate card means something, beyond its shape."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from omni.domains.pricing.contracts import (
    Flat,
    Graduated,
    Percentage,
    PerDimension,
    PriceInEvent,
    PriceModel,
    RateCard,
    Seat,
    Tier,
    Volume,
)
from omni.domains.pricing.rules.rating import COMMITMENT
from omni.kit.errors import InvalidInput
from omni.kit.money import CURRENCY_EXPONENTS

MAX_TIERS, MAX_RATES, MAX_VALUES, MAX_DIMENSIONS = 100, 5_000, 1_000, 10


def check_currency(currency: str) -> None:
    """Raises InvalidInput `unknown_currency`."""
    if currency not in CURRENCY_EXPONENTS:
        known = ", ".join(CURRENCY_EXPONENTS)
        raise InvalidInput("unknown_currency", f"Currency {currency} is not known; known are {known}.")


def check_cards(cards: Sequence[RateCard], currency: str, meters: Collection[str]) -> None:
    """Checks the cards of one plan. Raises InvalidInput as `check_card`, and `wrong_currency`, `rate_card_twice`."""
    check_currency(currency)
    codes = [card.code for card in cards]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        raise InvalidInput("rate_card_twice", f"There is more than one rate card {twice}; give each its own code.")
    for card in cards:
        if card.currency != currency:
            raise InvalidInput(
                "wrong_currency", f"Rate card {card.code} is in {card.currency}, but the plan is in {currency}."
            )
        check_card(card, meters)


def check_card(card: RateCard, meters: Collection[str]) -> None:
    """`meters` are the codes that exist.

    Raises InvalidInput `unknown_currency`, `unknown_meter`, `invalid_tiers`, `invalid_rates`, `invalid_rate_card`.
    """
    check_currency(card.currency)
    if card.code == COMMITMENT:
        raise _invalid(card, f"the code {COMMITMENT} is that of the line of a plan's minimum")
    _check_meter(card, meters)
    _check_price(card, card.price)
    _check_usage_members(card)
    if card.minimum_minor is not None and card.maximum_minor is not None and card.minimum_minor > card.maximum_minor:
        raise _invalid(card, "minimum_minor is above maximum_minor")


def _check_meter(card: RateCard, meters: Collection[str]) -> None:
    if isinstance(card.price, Flat | Seat):
        if card.meter is not None:
            raise _invalid(card, f"a price of kind {card.price.kind} has no meter")
    elif card.meter is None:
        raise _invalid(card, f"a price of kind {card.price.kind} needs a meter")
    elif card.meter not in meters:
        raise InvalidInput("unknown_meter", f"There is no meter {card.meter}; see GET /api/meters.", param="meter")


def _check_price(card: RateCard, price: PriceModel) -> None:
    match price:
        case Graduated() | Volume():
            _check_tiers(card, price.tiers)
        case Percentage():
            low, high = price.minimum_nanos, price.maximum_nanos
            if low is not None and high is not None and low > high:
                raise _invalid(card, "minimum_nanos is above maximum_nanos")
        case PerDimension():
            _check_rates(card, price)
        case _:
            pass


def _check_tiers(card: RateCard, tiers: Sequence[Tier]) -> None:
    """Tiers name only their upper bound, so a gap cannot be written; bounds that do not rise would overlap."""
    if not 1 <= len(tiers) <= MAX_TIERS:
        raise _tiers(card, f"there must be 1 to {MAX_TIERS} tiers")
    reached = Decimal(0)
    for number, tier in enumerate(tiers, 1):
        if tier.up_to is None and number < len(tiers):
            raise _tiers(card, f"tier {number} has no up_to, so it overlaps those after it; only the last may be open")
        if tier.up_to is not None and tier.up_to <= reached:
            raise _tiers(
                card, f"tier {number} ends at {tier.up_to}, not above {reached}, where it begins: they overlap"
            )
        reached = tier.up_to or reached
    if tiers[-1].up_to is not None:
        raise _tiers(card, f"units above {tiers[-1].up_to} have no price: leave up_to of the last tier null")


def _check_rates(card: RateCard, price: PerDimension) -> None:
    names = price.dimensions
    if not 1 <= len(names) <= MAX_DIMENSIONS or len(set(names)) != len(names):
        raise _rates(card, f"dimensions must be 1 to {MAX_DIMENSIONS} different names")
    if len(price.rates) > MAX_RATES or (not price.rates and price.default is None):
        raise _rates(card, f"there must be up to {MAX_RATES} rates, or a default")
    seen: set[tuple[str, ...]] = set()
    for each in price.rates:
        if len(each.values) != len(names):
            raise _rates(card, f"each rate needs a value for each of: {', '.join(names)}")
        if each.values in seen:
            raise _rates(card, f"there are two rates for {', '.join(each.values)}")
        seen.add(each.values)


def _check_usage_members(card: RateCard) -> None:
    if isinstance(card.price, Flat | Seat) and (card.filters or card.group_by):
        raise _invalid(card, f"a price of kind {card.price.kind} has neither filters nor group_by")
    if isinstance(card.price, Flat) and (card.minimum_minor is not None or card.maximum_minor is not None):
        raise _invalid(card, "a flat fee has neither minimum nor maximum")
    if isinstance(card.price, Flat | Percentage | PriceInEvent) and card.included_units:
        raise _invalid(card, f"a price of kind {card.price.kind} has no included_units")
    if len(card.group_by) > MAX_DIMENSIONS or len(set(card.group_by)) != len(card.group_by):
        raise _invalid(card, f"group_by must be up to {MAX_DIMENSIONS} different names")
    names = [each.dimension for each in card.filters]
    if len(set(names)) != len(names) or any(not 1 <= len(each.values) <= MAX_VALUES for each in card.filters):
        raise _invalid(card, f"each filter needs its own dimension and 1 to {MAX_VALUES} values")


def _invalid(card: RateCard, reason: str) -> InvalidInput:
    return InvalidInput("invalid_rate_card", f"Rate card {card.code}: {reason}.")


def _tiers(card: RateCard, reason: str) -> InvalidInput:
    return InvalidInput("invalid_tiers", f"Rate card {card.code}: {reason}.")


def _rates(card: RateCard, reason: str) -> InvalidInput:
    return InvalidInput("invalid_rates", f"Rate card {card.code}: {reason}.")
