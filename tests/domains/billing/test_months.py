"""Random months of tenants come to exactly what an independent oracle says, line by line, in every currency."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.domains.billing.months import CURRENCIES, product_invoice, random_month, random_terms
from tests.domains.billing.oracle import Month, bill

MONTHS_OF_A_PLAN = 10


def months(start: int, end: int) -> Counter[str]:
    """Compares the months of these seeds; how many had what."""
    seen: Counter[str] = Counter()
    for seed in range(start, end, MONTHS_OF_A_PLAN):
        chance = random.Random(seed)
        currency = CURRENCIES[seed // MONTHS_OF_A_PLAN % len(CURRENCIES)]
        plans = [random_terms(chance, currency) for _ in range(2)]
        for number in range(min(MONTHS_OF_A_PLAN, end - seed)):
            month = random_month(chance, plans)
            compare(month, f"month {number} of seed {seed}")
            note(month, seen)
    return seen


def compare(month: Month, name: str) -> None:
    expected, found = bill(month), product_invoice(month)
    assert Counter(row.told for row in expected.rows) == Counter(
        (line.kind, line.card, line.product, tuple(line.dimensions.items()), line.net_minor) for line in found.lines
    ), name
    assert expected.taxes == {tax.rate: (tax.base_minor, tax.tax_minor) for tax in found.taxes}, name
    assert expected.gross == found.gross_minor, name


def note(month: Month, seen: Counter[str]) -> None:
    seen["months"] += 1
    seen[month.currency] += 1
    for card in month.used.terms.rate_cards:
        seen[card.price.kind] += 1
        seen["minimum"] += card.minimum_minor is not None
        seen["filter"] += bool(card.filters)
        seen["group_by"] += bool(card.group_by)
        seen["included"] += bool(card.included_units)
    seen["commitment"] += bool(month.used.terms.minimum_commitment_minor)
    seen["inclusive"] += month.used.terms.tax_behaviour == "inclusive"
    seen["coupons"] += bool(month.coupons)
    seen["credit"] += month.returned is not None


WHAT_MUST_OCCUR = (
    *CURRENCIES, "flat", "seat", "per_unit", "graduated", "volume", "package", "percentage", "per_dimension",
    "price_in_event", "minimum", "filter", "group_by", "included", "commitment", "inclusive", "coupons", "credit",
)  # fmt: skip


@pytest.mark.parametrize("part", range(4))
def test_twenty_thousand_months_agree(part: int) -> None:
    seen = months(part * 5_000, (part + 1) * 5_000)
    assert seen["months"] == 5_000
    assert min(seen[each] for each in WHAT_MUST_OCCUR) >= 300, seen


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_months_agree() -> None:
    assert months(20_000, 120_000)["months"] == 100_000
