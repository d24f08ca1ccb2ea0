"""From the basis of an invoice to its lines: measures what was used and rates it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from omni.contracts.snapshots import Mode
from omni.domains.billing.contracts import Basis, FeePart, Line, LineKind, Span, UsagePart
from omni.domains.billing.rules.calendar import Period
from omni.domains.billing.service.terms import Terms, terms_of
from omni.domains.metering import facade as metering
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import (
    DatedCard,
    Flat,
    Percentage,
    PriceInEvent,
    Quantity,
    RateCard,
    RatedLine,
    Seat,
    Step,
    TaxBehaviour,
)
from omni.foundation.db.sessions import ReadSession
from omni.kit.money import divide_half_even, line_minor

COMMITMENT_NAME = "Minimum commitment"

RatedPart = tuple[Line, TaxBehaviour]


async def lines_of(session: ReadSession, basis: Basis, currency: str, mode: Mode) -> list[RatedPart]:
    """The lines that a basis comes to now, before discounts and taxes, and whether their prices contain tax."""
    lines: list[RatedPart] = []
    for used in basis.usage:
        terms = await terms_of(session, used.plan_code, used.plan_version, currency)
        found = await _usage_lines(session, used, terms, mode)
        found += _commitment(found, used, terms)
        lines += [(line, terms.behaviour) for line in found]
    for fee in basis.fees:
        terms = await terms_of(session, fee.plan_code, fee.plan_version, currency)
        lines += [(line, terms.behaviour) for line in _fee_lines(fee, terms)]
    return lines


async def _usage_lines(session: ReadSession, part: UsagePart, terms: Terms, mode: Mode) -> list[Line]:
    lines: list[Line] = []
    for dated in terms.cards:
        card = dated.card
        if card.meter is not None:
            held = _while_valid(part.span, dated)
            if held is not None:
                lines += await _metered(session, card, held, mode)
        elif isinstance(card.price, Flat | Seat) and card.price.timing == "in_arrears":
            lines += _fees(card, part.seats, part.span, first=False, kind="usage")
    return lines


async def _metered(session: ReadSession, card: RateCard, span: Span, mode: Mode) -> list[Line]:
    assert card.meter is not None
    filters = {each.dimension: each.values for each in card.filters}
    names = pricing.line_dimensions(card)
    if isinstance(card.price, Percentage | PriceInEvent):
        found = metering.transactions(
            session, card.meter, span.start, span.end, filters=filters, group_by=names, mode=mode
        )
        rated = pricing.rate(card, (), [each async for each in found])
    else:
        measured = await metering.measure(
            session, card.meter, span.start, span.end, filters=filters, group_by=names, mode=mode
        )
        rated = pricing.rate(card, measured)
    return [_line("usage", card, each, span) for each in rated if each.events or each.amount]


def _while_valid(span: Span, dated: DatedCard) -> Span | None:
    """The part of a span in which a card holds."""
    start = max(span.start, dated.valid_from)
    end = span.end if dated.valid_until is None else min(span.end, dated.valid_until)
    return replace(span, start=start, end=end) if start < end else None


def _fee_lines(part: FeePart, terms: Terms) -> Iterator[Line]:
    for dated in terms.cards:
        price = dated.card.price
        if isinstance(price, Flat | Seat) and price.timing == "in_advance":
            kind: LineKind = "credit" if part.credit else "fee"
            yield from _fees(dated.card, part.seats, part.span, first=part.first, kind=kind)


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
    fees = _fee_lines(FeePart(part.plan_code, part.plan_version, part.seats, part.span), terms)
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


def share_of(span: Span) -> Fraction:
    """How much of its whole period a span is."""
    return Period(span.start, span.end).share_of(Period(span.whole_start, span.whole_end))


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
