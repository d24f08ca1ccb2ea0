"""Tenants' months by chance, and what the product's rules, without a database, make of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from omni.domains.billing.contracts import Basis, FeePart, Invoice, RatedPart, Span, UsagePart
from omni.domains.billing.rules.discounting import discount_lines, span_of
from omni.domains.billing.rules.lines import fee_lines, usage_lines, while_valid
from omni.domains.billing.rules.taxing import with_taxes
from omni.domains.billing.service.terms import from_plan_terms
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import (
    AmountOff,
    CardUsage,
    Coupon,
    Flat,
    Percentage,
    PercentOff,
    PlanTerms,
    PriceInEvent,
    Quantity,
    RateCard,
    Seat,
    TaxTreatment,
    Transaction,
)
from tests.domains.billing.oracle import ALL_FEES, Event, Month, Stretch
from tests.domains.pricing.cards import MODELS, PROJECTS, eighths, random_card

PRODUCTS, METERS = ("api", "data", "support"), ("input_tokens", "requests")
CURRENCIES = ("EUR", "JPY", "BHD")
RATES = (Decimal(22), Decimal("9.5"), Decimal(0))
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
WHOLE = timedelta(days=30)


def random_terms(chance: random.Random, currency: str) -> PlanTerms:
    """A plan with up to four cards of any kind."""
    cards = [_card(chance, currency, number) for number in range(chance.randrange(1, 5))]
    return PlanTerms(
        currency,
        tuple(cards),
        minimum_commitment_minor=chance.choice((0, 0, chance.randrange(10**6))),
        tax_behaviour=chance.choice(("exclusive", "inclusive")),
    )


def _card(chance: random.Random, currency: str, number: int) -> RateCard:
    made = random_card(chance, currency)
    price = made.price
    if isinstance(price, Flat):
        price = replace(price, timing=chance.choice(("in_advance", "in_arrears")), recurring=chance.random() < 0.8)
        if not price.recurring:
            price = replace(price, timing="in_advance")
    elif isinstance(price, Seat):
        price = replace(price, timing=chance.choice(("in_advance", "in_arrears")))
    meter = None if made.meter is None else chance.choice(METERS)
    return replace(made, code=f"card-{number}", product=chance.choice(PRODUCTS), price=price, meter=meter)


def random_month(chance: random.Random, plans: Sequence[PlanTerms]) -> Month:
    """A month on two of the plans, which are in one currency."""
    old, new = chance.choice(plans), chance.choice(plans)
    change = BEGIN + timedelta(microseconds=chance.choice((chance.randrange(1, 30 * 86_400 * 10**6), 86_400 * 10**7)))
    used = Stretch(old, chance.randrange(4), BEGIN, change, BEGIN, BEGIN + WHOLE)
    rest = Stretch(old, used.seats, change, BEGIN + WHOLE, BEGIN, BEGIN + WHOLE)
    ahead = Stretch(new, chance.randrange(4), change, BEGIN + WHOLE, BEGIN, BEGIN + WHOLE)
    if chance.random() < 0.5:
        used = replace(used, end=BEGIN + WHOLE)
        ahead = replace(ahead, start=used.end, end=used.end + WHOLE, whole_start=used.end, whole_end=used.end + WHOLE)
    paid = {card.code: Fraction(chance.randrange(5), 4) for card in old.rate_cards if chance.random() < 0.2}
    returned = rest if used.end == change and chance.random() < 0.8 else None
    percents = {product: chance.choice(RATES) for product in (*PRODUCTS, ALL_FEES)}
    coupons = [random_coupon(chance, old.currency, f"C{number}") for number in range(chance.choice((0, 0, 1, 2, 3)))]
    events = [_event(chance) for _ in range(chance.choice((0, 1, 3, 8, 15)))]
    events.sort(key=lambda event: event.at)
    return Month(old.currency, events, used, returned, paid, ahead, chance.random() < 0.3, coupons, percents)


def _event(chance: random.Random) -> Event:
    at = BEGIN + timedelta(microseconds=chance.randrange(-(86_400 * 10**6), 31 * 86_400 * 10**6))
    dimensions = {"model": chance.choice(MODELS), "project": chance.choice(PROJECTS)}
    return Event(at, chance.choice(METERS), dimensions, eighths(chance, 30), eighths(chance, 30))


def random_coupon(chance: random.Random, currency: str, code: str) -> Coupon:
    discount = chance.choice(
        (PercentOff(Decimal(chance.randrange(1, 1001)) / 10), AmountOff(chance.randrange(1, 10**5), currency))
    )
    products = tuple(product for product in PRODUCTS if chance.random() < 0.4) if chance.random() < 0.5 else ()
    return Coupon(code, "Coupon", discount, "forever", products=products)


def product_invoice(month: Month) -> Invoice:
    """What the product's rules make of a month, from measurements as metering gives them."""
    used = UsagePart("old", 1, month.used.seats, _span(month.used))
    terms = from_plan_terms(month.used.terms, "old", 1)
    usage = {
        dated.card.code: measured(dated.card, month.events, held)
        for dated in terms.cards
        if dated.card.meter is not None and (held := while_valid(used.span, dated)) is not None
    }
    parts: list[RatedPart] = usage_lines(used, terms, usage)
    fees: list[FeePart] = []
    if month.returned is not None:
        fees.append(FeePart("old", 1, month.returned.seats, _span(month.returned), credit=True))
        parts += fee_lines(fees[-1], terms, lambda card: month.paid.get(card, Fraction(1)))
    fees.append(FeePart("new", 1, month.ahead.seats, _span(month.ahead), first=month.first))
    parts += fee_lines(fees[-1], from_plan_terms(month.ahead.terms, "new", 1))
    basis = Basis((used,), tuple(fees), tuple(coupon.code for coupon in month.coupons))
    parts += discount_lines(parts, month.coupons, month.currency, span_of(basis))
    draft = Invoice(
        UUID(int=0), "month", "invoice", "draft", "live", "seller", None, month.currency, None, None,
        month.used.start, month.used.end, basis,
    )  # fmt: skip
    treatments = {
        product: TaxTreatment("S" if percent else "Z", percent, "SI") for product, percent in month.percents.items()
    }
    return with_taxes(draft, parts, treatments.__getitem__)


def measured(card: RateCard, events: Sequence[Event], span: Span) -> CardUsage:
    """What metering says of a card's meter in a span: sums by the card's dimensions, or transactions by time."""
    names = pricing.line_dimensions(card)
    counted = [
        (tuple((name, event.dimensions[name]) for name in names), event)
        for event in events
        if event.meter == card.meter
        and span.start <= event.at < span.end
        and all(event.dimensions[each.dimension] in each.values for each in card.filters)
    ]
    if isinstance(card.price, Percentage | PriceInEvent):
        return CardUsage(transactions=[Transaction(place, event.value, event.price) for place, event in counted])
    totals: dict[tuple[tuple[str, str], ...], tuple[Fraction, int]] = {}
    for place, event in counted:
        quantity, number = totals.get(place, (Fraction(0), 0))
        totals[place] = (quantity + Fraction(event.value), number + 1)
    return CardUsage(quantities=[Quantity(place, quantity, number) for place, (quantity, number) in totals.items()])


def _span(stretch: Stretch) -> Span:
    return Span(stretch.start, stretch.end, stretch.whole_start, stretch.whole_end)
