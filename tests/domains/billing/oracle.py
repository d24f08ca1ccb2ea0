"""What a tenant's month comes to, computed another way: event by event, from the raw events.

Written from the definitions in the READMEs of pricing and billing, not from their code. It is naive on purpose: nothing
is grouped or summed before it is priced, remainders are handed out one minor unit at a time, and rounding is spelled
out. It shares only the types of rate cards and coupons with the product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from omni.domains.pricing.contracts import (
    Coupon,
    Flat,
    Graduated,
    Package,
    Percentage,
    PercentOff,
    PerDimension,
    PerUnit,
    PlanTerms,
    RateCard,
    Seat,
    Tier,
    UnitPrice,
    Volume,
)

MINOR_UNITS = {"EUR": 100, "JPY": 1, "BHD": 1000}
ALL_FEES = "minimum_commitment"


@dataclass(frozen=True, slots=True)
class Event:
    """Something was used."""

    at: datetime
    meter: str
    dimensions: Mapping[str, str]
    value: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time on a plan: a part of a whole period."""

    terms: PlanTerms
    seats: int
    start: datetime
    end: datetime
    whole_start: datetime
    whole_end: datetime

    @property
    def share(self) -> Fraction:
        return Fraction(micros(self.start, self.end), micros(self.whole_start, self.whole_end))


@dataclass(frozen=True, slots=True)
class Month:
    """All that an invoice is made from."""

    currency: str
    events: Sequence[Event]
    used: Stretch
    returned: Stretch | None
    """Fees that come back."""
    paid: Mapping[str, Fraction]
    """How much of each fee that comes back was paid, by card."""
    ahead: Stretch
    """Fees that are due."""
    first: bool
    """Whether fees that are due once are due with them."""
    coupons: Sequence[Coupon]
    percents: Mapping[str, Decimal]
    """The rate of tax of each product."""


@dataclass(slots=True)
class Row:
    """A line: `minor` as the prices are, `net` without tax."""

    kind: str
    card: str
    product: str
    dimensions: tuple[tuple[str, str], ...]
    minor: int
    inclusive: bool
    net: int = 0

    @property
    def told(self) -> tuple[object, ...]:
        return self.kind, self.card, self.product, self.dimensions, self.net


@dataclass(slots=True)
class Bill:
    """What it all comes to."""

    rows: list[Row]
    taxes: dict[Decimal, tuple[int, int]] = field(default_factory=dict)
    """Taxed amount and tax by rate."""

    @property
    def gross(self) -> int:
        return sum(row.net for row in self.rows) + sum(tax for _, tax in self.taxes.values())


def bill(month: Month) -> Bill:
    """The invoice of a month."""
    rows = list(used(month))
    missing = commitment(month, rows)
    if missing:
        rows.append(Row("commitment", ALL_FEES, ALL_FEES, (), missing, _inclusive(month.used)))
    if month.returned is not None:
        for card, amount in fees(month.returned, "in_advance", first=False):
            given_back = to_minor(-amount * month.paid.get(card.code, Fraction(1)), month.currency)
            rows.append(Row("credit", card.code, card.product, (), given_back, _inclusive(month.returned)))
    for card, amount in fees(month.ahead, "in_advance", first=month.first):
        due = to_minor(amount, month.currency)
        rows.append(Row("fee", card.code, card.product, (), due, _inclusive(month.ahead)))
    rows += list(discounts(rows, month.coupons))
    return taxed(rows, month.percents)


# --- usage ---------------------------------------------------------------------------------------------------------


def used(month: Month) -> Iterator[Row]:
    """Lines of what was used, and of fees that are due afterwards."""
    inclusive = _inclusive(month.used)
    for card in month.used.terms.rate_cards:
        if isinstance(card.price, Flat | Seat):
            if card.price.timing == "in_arrears":
                for _, amount in fees_of(card, month.used, first=False):
                    yield Row("usage", card.code, card.product, (), to_minor(amount, month.currency), inclusive)
            continue
        amounts = of_events(card, [event for event in month.events if counts(card, event, month.used)])
        billed = 0
        for place in sorted(amounts):
            minor = to_minor(amounts[place], month.currency)
            billed += minor
            yield Row("usage", card.code, card.product, place, minor, inclusive)
        bound = beyond(card, billed)
        if bound:
            yield Row("usage", card.code, card.product, (), bound, inclusive)


def counts(card: RateCard, event: Event, stretch: Stretch) -> bool:
    if event.meter != card.meter or event.at < stretch.start or event.at >= stretch.end:
        return False
    return all(event.dimensions[each.dimension] in each.values for each in card.filters)


def place_of(card: RateCard, event: Event) -> tuple[tuple[str, str], ...]:
    names: list[str] = []
    for name in [*card.group_by, *(card.price.dimensions if isinstance(card.price, PerDimension) else ())]:
        if name not in names:
            names.append(name)
    return tuple((name, event.dimensions[name]) for name in names)


def of_events(card: RateCard, events: Sequence[Event]) -> dict[tuple[tuple[str, str], ...], Fraction]:
    """What each line of a card comes to, exact."""
    amounts: dict[tuple[tuple[str, str], ...], Fraction] = {}
    if isinstance(card.price, Percentage):
        seen, worth = 0, Fraction(0)
        for event in sorted(events, key=lambda each: each.at):
            place, value = place_of(card, event), Fraction(event.value)
            amounts[place] = amounts.get(place, Fraction(0)) + of_transaction(card.price, value, seen, worth)
            seen, worth = seen + 1, worth + value
        return amounts
    if card.price.kind == "price_in_event":
        for event in events:
            place = place_of(card, event)
            amounts[place] = amounts.get(place, Fraction(0)) + Fraction(event.price)
        return amounts
    free = Fraction(card.included_units)
    for place in sorted({place_of(card, event) for event in events}):
        here = [event for event in events if place_of(card, event) == place]
        billable: list[tuple[Event, Fraction]] = []
        for event in here:
            value = Fraction(event.value)
            covered = value if value < free else free
            free -= covered
            billable.append((event, value - covered))
        amounts[place] = of_units(card, billable)
    return amounts


def of_units(card: RateCard, billable: Sequence[tuple[Event, Fraction]]) -> Fraction:
    """What the events of one line cost, one after the other; of each the units that are not free."""
    price, amount = card.price, Fraction(0)
    everything = sum((units for _, units in billable), Fraction(0))
    if isinstance(price, Volume):
        if not everything:
            return amount
        tier = next(each for each in price.tiers if each.up_to is None or everything <= Fraction(each.up_to))
        return nanos(tier.flat_nanos) + sum((at_price(tier.price, units) for _, units in billable), Fraction(0))
    if isinstance(price, Package):
        bought = 0
        while bought < everything:
            bought += price.size
            amount += nanos(price.price_nanos)
        return amount
    if isinstance(price, Graduated):
        begun, touched = Fraction(0), set[int]()
        for _, units in billable:
            for number, low, high in bounds(price.tiers):
                inside = overlap(begun, begun + units, low, high)
                if inside:
                    amount += at_price(price.tiers[number].price, inside)
                    touched.add(number)
            begun += units
        return amount + sum((nanos(price.tiers[number].flat_nanos) for number in touched), Fraction(0))
    for event, units in billable:
        if isinstance(price, PerDimension):
            mine = tuple(event.dimensions[name] for name in price.dimensions)
            own = [rate.price for rate in price.rates if rate.values == mine]
            chosen = own[0] if own else price.default
            assert chosen is not None
            amount += at_price(chosen, units)
        else:
            assert isinstance(price, PerUnit)
            amount += at_price(price.price, units)
    return amount


def bounds(tiers: Sequence[Tier]) -> Iterator[tuple[int, Fraction, Fraction | None]]:
    low = Fraction(0)
    for number, tier in enumerate(tiers):
        high = None if tier.up_to is None else Fraction(tier.up_to)
        yield number, low, high
        low = low if high is None else high


def overlap(start: Fraction, end: Fraction, low: Fraction, high: Fraction | None) -> Fraction:
    first, last = max(start, low), end if high is None else min(end, high)
    return last - first if last > first else Fraction(0)


def of_transaction(price: Percentage, value: Fraction, seen: int, worth: Fraction) -> Fraction:
    """What one transaction pays, after `seen` others that were `worth` so much."""
    limited = price.free_transactions is not None or price.free_value is not None
    within = limited
    if price.free_transactions is not None and seen >= price.free_transactions:
        within = False
    if price.free_value is not None and worth >= Fraction(price.free_value):
        within = False
    rest = value
    if within:
        if price.free_value is None or worth + value <= Fraction(price.free_value):
            return Fraction(0)
        rest = worth + value - Fraction(price.free_value)
    due = nanos(price.fixed_nanos) + rest * Fraction(price.percent) / 100
    if price.minimum_nanos is not None and due < nanos(price.minimum_nanos):
        return nanos(price.minimum_nanos)
    if price.maximum_nanos is not None and due > nanos(price.maximum_nanos):
        return nanos(price.maximum_nanos)
    return due


def beyond(card: RateCard, billed: int) -> int:
    """What brings a card to its minimum or down to its maximum, minor units."""
    if card.minimum_minor is not None and billed < card.minimum_minor:
        return card.minimum_minor - billed
    if card.maximum_minor is not None and billed > card.maximum_minor:
        return card.maximum_minor - billed
    return 0


# --- fees ----------------------------------------------------------------------------------------------------------


def fees(stretch: Stretch, timing: str, *, first: bool) -> Iterator[tuple[RateCard, Fraction]]:
    for card in stretch.terms.rate_cards:
        if isinstance(card.price, Flat | Seat) and card.price.timing == timing:
            yield from fees_of(card, stretch, first=first)


def fees_of(card: RateCard, stretch: Stretch, *, first: bool) -> Iterator[tuple[RateCard, Fraction]]:
    """A fee, and what brings it to its minimum or maximum, each for the share of the period; what is nothing is not."""
    if isinstance(card.price, Flat):
        if card.price.recurring:
            amounts = [nanos(card.price.price_nanos) * stretch.share]
        else:
            amounts = [nanos(card.price.price_nanos)] if first else []
    else:
        assert isinstance(card.price, Seat)
        full, free = Fraction(0), Fraction(card.included_units)
        for _ in range(stretch.seats):
            if free >= 1:
                free -= 1
            else:
                full += nanos(card.price.price_nanos)
        bound = beyond(card, to_minor(full, card.currency))
        amounts = [full * stretch.share, Fraction(bound, MINOR_UNITS[card.currency]) * stretch.share]
    for amount in amounts:
        if amount != 0:
            yield card, amount


def commitment(month: Month, rows: Sequence[Row]) -> int:
    """What is missing to the minimum of the time that was used, minor units."""
    least = rounded(month.used.terms.minimum_commitment_minor * month.used.share)
    reached = sum(row.minor for row in rows)
    for _, amount in fees(month.used, "in_advance", first=False):
        reached += to_minor(amount, month.currency)
    return max(0, least - reached)


# --- coupons -------------------------------------------------------------------------------------------------------


def discounts(rows: Sequence[Row], coupons: Sequence[Coupon]) -> Iterator[Row]:
    left = [row.minor for row in rows]
    for wants_products in (True, False):
        for kind in ("percent_off", "amount_off"):
            for coupon in coupons:
                if bool(coupon.products) == wants_products and coupon.discount.kind == kind:
                    yield from discount(rows, left, coupon)


def discount(rows: Sequence[Row], left: list[int], coupon: Coupon) -> Iterator[Row]:
    """Takes a coupon off what is left; a line for each product."""
    mine = [index for index, row in enumerate(rows) if not coupon.products or row.product in coupon.products]
    there = max(0, sum(left[index] for index in mine))
    if isinstance(coupon.discount, PercentOff):
        total = rounded(there * Fraction(coupon.discount.percent) / 100)
    else:
        total = min(there, coupon.discount.amount_minor)
    weights = {index: max(0, left[index]) for index in mine}
    whole = sum(weights.values())
    ideal = {index: Fraction(total * weight, whole) if whole else Fraction(0) for index, weight in weights.items()}
    given = {index: exact.numerator // exact.denominator for index, exact in ideal.items()}
    while sum(given.values()) < total:
        neediest = max(given, key=lambda index: (ideal[index] - given[index], -index))
        given[neediest] += 1
    taken: Counter[tuple[str, bool]] = Counter()
    for index, minor in given.items():
        if minor:
            left[index] -= minor
            taken[rows[index].product, rows[index].inclusive] += minor
    for (product, inclusive), minor in taken.items():
        yield Row("discount", f"coupon:{coupon.code}", product, (), -minor, inclusive)


# --- tax -----------------------------------------------------------------------------------------------------------


def taxed(rows: Sequence[Row], percents: Mapping[str, Decimal]) -> Bill:
    made = Bill(list(rows))
    for inclusive in (False, True):
        for percent in sorted(set(percents.values())):
            mine = [row for row in rows if row.inclusive == inclusive and percents[row.product] == percent]
            if not mine:
                continue
            rate, before, total = Fraction(percent) / 100, 0, 0
            for row in mine:
                total += row.minor
                until_now = rounded(total / (1 + rate)) if inclusive else total
                row.net, before = until_now - before, until_now
            tax = total - before if inclusive else rounded(total * rate)
            base, other = made.taxes.get(percent, (0, 0))
            made.taxes[percent] = (base + before, other + tax)
    return made


# --- numbers -------------------------------------------------------------------------------------------------------


def rounded(exact: Fraction | int) -> int:
    """To the nearest whole number; a half goes to the even one."""
    exact = Fraction(exact)
    below = exact.numerator // exact.denominator
    rest = exact - below
    if rest == Fraction(1, 2):
        return below if below % 2 == 0 else below + 1
    return below + 1 if rest > Fraction(1, 2) else below


def to_minor(amount: Fraction, currency: str) -> int:
    return rounded(amount * MINOR_UNITS[currency])


def nanos(amount: int) -> Fraction:
    return Fraction(amount, 1_000_000_000)


def at_price(price: UnitPrice, units: Fraction) -> Fraction:
    return units * nanos(price.price_nanos) / price.per_quantity


def micros(start: datetime, end: datetime) -> int:
    gap = end - start
    return (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds


def _inclusive(stretch: Stretch) -> bool:
    return stretch.terms.tax_behaviour == "inclusive"
