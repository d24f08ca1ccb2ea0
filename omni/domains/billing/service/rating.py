"""From the basis of an invoice to its lines: measures what was used and rates it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from omni.contracts.snapshots import Mode
from omni.contracts.usage import METERS
from omni.domains.billing.contracts import Basis, Invoice, RatedPart, Span, Terms, UsagePart
from omni.domains.billing.repository import invoices
from omni.domains.billing.rules.discounting import discount_lines, paid_share, span_of
from omni.domains.billing.rules.lines import PaidShare, fee_lines, usage_lines, while_valid
from omni.domains.billing.service.terms import TermsBook
from omni.domains.metering import facade as metering
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import CardUsage, Percentage, PriceInEvent, RateCard
from omni.foundation.db.sessions import ReadSession

_MANY = 3
"""From so many meters on it is cheaper to ask for all of them than for each."""


async def lines_of(session: ReadSession, basis: Basis, currency: str, mode: Mode) -> list[RatedPart]:
    """The lines that a basis comes to now, with its discounts, before taxes, and whether their prices contain tax."""
    book = TermsBook(session, currency)
    lines: list[RatedPart] = []
    for used in basis.usage:
        terms = await book.terms_of(used.plan_code, used.plan_version)
        lines += await used_lines(session, used, terms, mode)
    for fee in basis.fees:
        terms = await book.terms_of(fee.plan_code, fee.plan_version)
        charged = await invoices.charging(session, fee) if fee.credit else None
        if charged is None or charged.status != "void":  # an invoice that was taken back has given its fees back
            lines += fee_lines(fee, terms, _paid_on(charged))
    if not basis.coupons or not lines:
        return lines
    found = [await pricing.coupon_of(session, code) for code in basis.coupons]
    coupons = [coupon for coupon in found if coupon is not None]
    return [*lines, *discount_lines(lines, coupons, currency, span_of(basis))]


async def used_lines(
    session: ReadSession, part: UsagePart, terms: Terms, mode: Mode, *, from_events: bool = False
) -> list[RatedPart]:
    """What was used in a span comes to on any terms; `from_events`: counted anew, without the rollups."""
    usage: dict[str, CardUsage] = {}
    plain: dict[Span, list[RateCard]] = {}
    for dated in terms.cards:
        held = while_valid(part.span, dated)
        if dated.card.meter is None or held is None:
            continue
        if from_events:
            usage[dated.card.code] = await _measured(session, dated.card, held, mode, from_events=True)
        elif _is_plain(dated.card):
            plain.setdefault(held, []).append(dated.card)
        else:
            usage[dated.card.code] = await _measured(session, dated.card, held, mode)
    for held, cards in plain.items():
        usage |= await _totals(session, cards, held, mode)
    return usage_lines(part, terms, usage)


def _is_plain(card: RateCard) -> bool:
    """Whether a card is of all that a meter of requests has summed up."""
    by_quantity = not isinstance(card.price, Percentage | PriceInEvent)
    return by_quantity and card.meter in METERS and not card.filters and not pricing.line_dimensions(card)


async def _totals(session: ReadSession, cards: Sequence[RateCard], span: Span, mode: Mode) -> dict[str, CardUsage]:
    """The usage of plain cards: of many, all meters at once."""
    if len(cards) < _MANY:
        return {card.code: await _measured(session, card, span, mode) for card in cards}
    totals = await metering.request_totals(session, span.start, span.end, mode)
    return {card.code: CardUsage([totals[card.meter]] if card.meter in totals else []) for card in cards}


async def _measured(
    session: ReadSession, card: RateCard, span: Span, mode: Mode, *, from_events: bool = False
) -> CardUsage:
    assert card.meter is not None
    filters = {each.dimension: each.values for each in card.filters}
    names = pricing.line_dimensions(card)
    if isinstance(card.price, Percentage | PriceInEvent):
        found = metering.transactions(
            session, card.meter, span.start, span.end, filters=filters, group_by=names, mode=mode
        )
        return CardUsage(transactions=[each async for each in found])
    measured = metering.recount if from_events else metering.measure_windows
    bounds = (span.start, span.end)
    return CardUsage(quantities=await measured(session, card.meter, bounds, filters=filters, group_by=names, mode=mode))


def _paid_on(charged: Invoice | None) -> PaidShare:
    """What of the fees that a credit gives back was paid: coupons may have taken some off on their invoice."""

    def share(card: str) -> Fraction:
        return Fraction(1) if charged is None else paid_share(charged, card)

    return share
