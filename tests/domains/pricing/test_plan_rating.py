"""A whole plan in one billing period."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from omni.domains.pricing.contracts import CardUsage, Flat, PerUnit, PlanTerms, Quantity, RateCard, Seat, UnitPrice
from omni.domains.pricing.rules.plan_rating import rate_plan
from omni.kit.errors import InvalidInput
from omni.kit.money import line_minor
from tests.domains.pricing.cards import card

EURO = 10**9
UNIT = Fraction(1)


def named(code: str, of: RateCard) -> RateCard:
    return replace(of, code=code)


TERMS = PlanTerms(
    "EUR",
    (
        named("fee", card(Flat(10 * EURO))),
        named("set-up", card(Flat(50 * EURO, recurring=False))),
        named("seats", card(Seat(3 * EURO))),
        named("tokens", card(PerUnit(UnitPrice(EURO, 1000)))),
    ),
    minimum_commitment_minor=3_000,
)


def lines(terms: PlanTerms, usage: dict[str, CardUsage]) -> list[tuple[str, int]]:
    return [(line.card, line_minor(line.amount, "EUR")) for line in rate_plan(terms, usage)]


def test_one_off_fees_do_not_count_towards_the_commitment() -> None:
    usage = {"seats": CardUsage([Quantity((), 2 * UNIT, 0)]), "tokens": CardUsage([Quantity((), 1500 * UNIT, 9)])}
    assert lines(TERMS, usage) == [
        ("fee", 1_000), ("set-up", 5_000), ("seats", 600), ("tokens", 150), ("minimum_commitment", 1_250),
    ]  # fmt: skip


def test_a_commitment_that_is_reached_makes_no_line() -> None:
    assert lines(replace(TERMS, minimum_commitment_minor=1_000), {}) == [("fee", 1_000), ("set-up", 5_000)]


def test_usage_of_a_card_that_the_plan_lacks_is_refused() -> None:
    with pytest.raises(InvalidInput, match="known are: fee, set-up, seats, tokens") as refused:
        rate_plan(TERMS, {"other": CardUsage()})
    assert refused.value.code == "unknown_rate_card"
