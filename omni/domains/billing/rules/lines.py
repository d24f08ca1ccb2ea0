"""From terms and what was measured to the lines of an invoice, without I/O.

A line's amount is exact; it is rounded once. A span is a part of a billing period: fees are due for its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from omni.domains.billing.contracts import FeePart, Line, LineKind, RatedPart, Span, Terms, UsagePart
from omni.domains.billing.rules.calendar import Period
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import CardUsage, DatedCard, Flat, Quantity, RateCard, RatedLine, Seat, Step
from omni.kit.money import divide_half_even, line_minor

COMMITMENT_NAME = "Minimum commitment"

PaidShare = Callable[[str], Fraction]
"""How much of a fee was paid and not taken off by coupons, by the code of its card."""


def paid_in_full(_card: str) -> Fraction:
    """The share of fees that no coupon lowered."""
    return Fraction(1)


def usage_lines(part: UsagePart, terms: Terms, usage: Mapping[str, CardUsage]) -> list[RatedPart]:
    """What was used in a span, fees in arrears, and what is missing to the minimum commitment.

    `usage` is by card code, of the time in which the card holds within the span (`while_valid`).
    """
    lines: list[Line] = []
    for dated in terms.cards:
        card = dated.card
        if card.meter is not None:
            held = while_valid(part.span, dated)
            if held is not None and card.code in usage:
                lines += _metered(card, held, usage[card.code])
        elif isinstance(card.price, Flat | Seat) and card.price.timing == "in_arrears":
            lines += _fees(card, part.seats, part.span, first=False, kind="usage")
    lines += _commitment(lines, part, terms)
    return [(line, terms.behaviour) for line in lines]


def fee_lines(part: FeePart, terms: Terms, paid: PaidShare = paid_in_full) -> list[RatedPart]:
    """Fees in advance of a span. A credit gives back what was paid: the fee less what coupons took off it."""
    return [(line, terms.behaviour) for line in _advance_fees(part, terms, paid)]


def while_valid(span: Span, dated: DatedCard) -> Span | None:
    """The part of a span in which a card holds."""
    start = max(span.start, dated.valid_from)
    end = span.end if dated.valid_until is None else min(span.end, dated.valid_until)
    return replace(span, start=start, end=end) if start < end else None


def share_of(span: Span) -> Fraction:
    """How much of its whole period a span is."""
    return Period(span.start, span.end).share_of(Period(span.whole_start, span.whole_end))


def _metered(card: RateCard, span: Span, usage: CardUsage) -> list[Line]:
    rated = pricing.rate(card, usage.quantities, usage.transactions)
    return [_line("usage", card, each, span) for each in rated if each.events or each.amount]


def _advance_fees(part: FeePart, terms: Terms, paid: PaidShare) -> Iterator[Line]:
    kind: LineKind = "credit" if part.credit else "fee"
    for dated in terms.cards:
        price = dated.card.price
        if isinstance(price, Flat | Seat) and price.timing == "in_advance":
            for line in _fees(dated.card, part.seats, part.span, first=part.first, kind=kind):
                yield _lowered(line, paid(dated.card.code), terms.currency) if part.credit else line


def _lowered(line: Line, share: Fraction, currency: str) -> Line:
    amount = line.amount * share
    return replace(line, amount=amount, net_minor=line_minor(amount, currency))


def _fees(card: RateCard, seats: int, span: Span, *, first: bool, kind: LineKind) -> Iterator[Line]:
    """A fee for the share of its period that the span is, exact; a fee that is due once, at first and in full."""
    recurring = not isinstance(card.price, Flat) or card.price.recurring
    if not recurring and not first:
        return
    measured = [Quantity((), Fraction(seats), 0)] if isinstance(card.price, Seat) else []
    share = share_of(span) if recurring else Fraction(1)
    sign = -1 if kind == "credit" else 1
    for rated in pricing.rate(card, measured):
        if rated.amount:
            line = _line(kind, card, replace(rated, amount=sign * share * rated.amount), span)
            yield replace(line, quantity=sign * line.quantity)


def _commitment(lines: list[Line], part: UsagePart, terms: Terms) -> list[Line]:
    """What is missing to the plan's minimum, for the share of the period; fees in advance count towards it."""
    if not terms.commitment_minor:
        return []
    share = share_of(part.span)
    minimum = divide_half_even(terms.commitment_minor * share.numerator, share.denominator)
    fees = _advance_fees(FeePart(part.plan_code, part.plan_version, part.seats, part.span), terms, paid_in_full)
    billed = sum(line.net_minor for line in (*lines, *fees))
    rated = pricing.commitment_line(billed, minimum, terms.currency)
    if rated is None:
        return []
    span = part.span
    amount = line_minor(rated.amount, terms.currency)
    return [
        Line(
            "commitment", rated.card, rated.card, COMMITMENT_NAME, None, {}, {}, span.start, span.end,
            Fraction(1), 0, rated.amount, amount, [_step(each) for each in rated.steps],
        )
    ]  # fmt: skip


def _line(kind: LineKind, card: RateCard, rated: RatedLine, span: Span) -> Line:
    return Line(
        kind=kind,
        card=card.code,
        product=card.product,
        name=card.name,
        meter=card.meter,
        filters={each.dimension: list(each.values) for each in card.filters},
        dimensions=dict(rated.dimensions),
        start=span.start,
        end=span.end,
        quantity=rated.quantity,
        events=rated.events,
        amount=rated.amount,
        net_minor=line_minor(rated.amount, card.currency),
        steps=[_step(step) for step in rated.steps],
    )


def _step(step: Step) -> dict[str, Any]:
    """A step for people and programs: exact numbers as text; what does not apply is left out."""
    names = ("kind", "quantity", "amount", "price_nanos", "per_quantity", "percent", "above", "up_to")
    values = {name: getattr(step, name) for name in names}
    return {
        name: value if isinstance(value, int | str) else str(value)
        for name, value in values.items()
        if value is not None
    }
