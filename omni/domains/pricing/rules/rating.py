"""Rating: from a rate card and what was measured to lines, exact. Definitions: README.md of this domain."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from omni.domains.pricing.contracts import (
    Flat,
    Measured,
    Percentage,
    PerDimension,
    PriceInEvent,
    RateCard,
    RatedLine,
    Seat,
    Step,
    Transacted,
)
from omni.domains.pricing.rules.steps import usage_steps
from omni.domains.pricing.rules.transactions import Group, charge, exact
from omni.kit.errors import InvalidInput
from omni.kit.money import currency_exponent, line_minor

COMMITMENT = "minimum_commitment"
"""The card code of a plan's true-up line; no rate card may have it."""

_NOTHING = Fraction(0)


def line_dimensions(card: RateCard) -> tuple[str, ...]:
    """The dimensions that a card's lines differ by, which what was measured must carry: those of `group_by`, then those
    that the price depends on."""
    own = card.price.dimensions if isinstance(card.price, PerDimension) else ()
    return tuple(dict.fromkeys((*card.group_by, *own)))


def rate(card: RateCard, measured: Sequence[Measured], transactions: Sequence[Transacted] = ()) -> list[RatedLine]:
    """What a card comes to for one billing period: a line for each combination of `line_dimensions(card)` that occurs,
    in the order of their values, and a line that raises or lowers the sum to the card's minimum or maximum.

    Quantities of one combination are added; for meters whose quantities do not add up (unique, maximum, average)
    deliver one for each combination. A quantity that carries a filter's dimension with another value is left out; one
    that does not carry it counts. Included units are used up by the lines in their order. A flat fee is one line,
    whatever was measured. Percentage and PriceInEvent rate `transactions`, the others `measured`.

    Raises InvalidInput `invalid_quantity`, `missing_dimension`, `event_without_price`, `wrong_kind_of_usage`;
    Unprocessable `no_rate_for_dimensions`.
    """
    price = card.price
    if isinstance(price, Percentage | PriceInEvent):
        if measured:
            raise InvalidInput("wrong_kind_of_usage", f"{card.code} prices transactions, not quantities.")
        lines = _transaction_lines(card, price, transactions)
    elif transactions:
        raise InvalidInput("wrong_kind_of_usage", f"{card.code} prices quantities, not transactions.")
    elif isinstance(price, Flat):
        (step,) = usage_steps(price, Fraction(1))
        lines = [RatedLine(card.code, (), Fraction(1), _NOTHING, 0, step.amount, (step,))]
    else:
        lines = _usage_lines(card, measured)
    return [*lines, *_within_bounds(card, lines)]


def commitment_line(billed_minor: int, minimum_minor: int, currency: str) -> RatedLine | None:
    """The line that raises what a plan's lines come to, rounded, to its minimum commitment; None when they reach it."""
    if billed_minor >= minimum_minor:
        return None
    return _true_up(COMMITMENT, Step("commitment", Fraction(1), _from_minor(minimum_minor - billed_minor, currency)))


def _usage_lines(card: RateCard, measured: Sequence[Measured]) -> list[RatedLine]:
    groups: dict[Group, tuple[Fraction, int]] = {}
    for each in measured:
        group = _group_of(card, each.dimensions)
        if group is not None:
            quantity, events = groups.get(group, (_NOTHING, 0))
            groups[group] = (quantity + exact(each.quantity), events + each.events)
    if isinstance(card.price, Seat) and any(quantity.denominator != 1 for quantity, _ in groups.values()):
        raise InvalidInput("invalid_quantity", "Seats are whole numbers.")
    left = Fraction(card.included_units)
    lines = []
    for group, (quantity, events) in sorted(groups.items()):
        included = min(left, quantity)
        left -= included
        steps = usage_steps(card.price, quantity - included, _values(card, group))
        if included:
            steps.insert(0, Step("included", included, _NOTHING))
        amount = sum((step.amount for step in steps), _NOTHING)
        lines.append(RatedLine(card.code, group, quantity, included, events, amount, tuple(steps)))
    return lines


def _transaction_lines(
    card: RateCard, price: Percentage | PriceInEvent, transactions: Sequence[Transacted]
) -> list[RatedLine]:
    counted = [(group, each) for each in transactions if (group := _group_of(card, each.dimensions)) is not None]
    lines = []
    for group, charged in sorted(charge(price, counted).items(), key=lambda item: item[0]):
        steps = tuple(charged.steps.values())
        amount = sum((step.amount for step in steps), _NOTHING)
        lines.append(RatedLine(card.code, group, charged.value, _NOTHING, charged.events, amount, steps))
    return lines


def _group_of(card: RateCard, dimensions: tuple[tuple[str, str], ...]) -> Group | None:
    """None when a filter leaves it out."""
    carried = dict(dimensions)
    if any(each.dimension in carried and carried[each.dimension] not in each.values for each in card.filters):
        return None
    names = line_dimensions(card)
    missing = next((name for name in names if name not in carried), None)
    if missing is not None:
        raise InvalidInput("missing_dimension", f"Rate card {card.code} needs usage by {missing}.", param=missing)
    return tuple((name, carried[name]) for name in names)


def _values(card: RateCard, group: Group) -> tuple[str, ...]:
    if not isinstance(card.price, PerDimension):
        return ()
    carried = dict(group)
    return tuple(carried[name] for name in card.price.dimensions)


def _within_bounds(card: RateCard, lines: Sequence[RatedLine]) -> list[RatedLine]:
    """Compares rounded lines, so that the invoice shows exactly the minimum or maximum."""
    billed = sum(line_minor(line.amount, card.currency) for line in lines)
    if card.minimum_minor is not None and billed < card.minimum_minor:
        difference = card.minimum_minor - billed
        return [_true_up(card.code, Step("card_minimum", Fraction(1), _from_minor(difference, card.currency)))]
    if card.maximum_minor is not None and billed > card.maximum_minor:
        difference = card.maximum_minor - billed
        return [_true_up(card.code, Step("card_maximum", Fraction(1), _from_minor(difference, card.currency)))]
    return []


def _true_up(code: str, step: Step) -> RatedLine:
    return RatedLine(code, (), Fraction(1), _NOTHING, 0, step.amount, (step,))


def _from_minor(minor: int, currency: str) -> Fraction:
    return Fraction(minor, 10 ** currency_exponent(currency))
