"""Rating: each price model by hand, and against the oracle."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.domains.pricing.contracts import (
    DimensionRate,
    Filter,
    Flat,
    Graduated,
    Package,
    Percentage,
    PerDimension,
    PerUnit,
    PriceInEvent,
    PriceModel,
    Quantity,
    RatedLine,
    Seat,
    Tier,
    Transaction,
    UnitPrice,
    Volume,
)
from omni.domains.pricing.rules.checks import check_card
from omni.domains.pricing.rules.rating import commitment_line, line_dimensions, rate
from omni.kit.errors import OmniError
from omni.kit.money import line_minor
from tests.domains.pricing import oracle
from tests.domains.pricing.cards import card, random_card, random_usage

EURO = 10**9
CENT = 10**7


def used(units: int | str, **dimensions: str) -> Quantity:
    return Quantity(tuple(dimensions.items()), Fraction(units), 1)


def paid(value: str, price: str | None = None, **dimensions: str) -> Transaction:
    return Transaction(tuple(dimensions.items()), Decimal(value), None if price is None else Decimal(price))


def amounts(lines: list[RatedLine]) -> list[Fraction]:
    return [line.amount for line in lines]


def of(line: RatedLine, *names: str) -> tuple[Any, ...]:
    """These members of a line."""
    return tuple(getattr(line, name) for name in names)


def steps(line: RatedLine) -> list[Any]:
    return [(step.kind, step.quantity, step.amount) for step in line.steps]


TIERS = (
    Tier(Decimal(10), UnitPrice(EURO), EURO),
    Tier(Decimal(20), UnitPrice(EURO // 2)),
    Tier(None, UnitPrice(CENT), 3 * EURO),
)


@pytest.mark.parametrize(
    ("price", "units", "amount"),
    [
        (PerUnit(UnitPrice(3 * CENT, 1000)), "2500", "0.075"),
        (PerUnit(UnitPrice(1, 3)), "1", Fraction(1, 3 * 10**9)),
        (Graduated(TIERS), "0", "0"),
        (Graduated(TIERS), "10", "11"),
        (Graduated(TIERS), "10.5", "11.25"),
        (Graduated(TIERS), "20", "16"),
        (Graduated(TIERS), "21", "19.01"),
        (Volume(TIERS), "0", "0"),
        (Volume(TIERS), "10", "11"),
        (Volume(TIERS), "10.5", "5.25"),
        (Volume(TIERS), "21", "3.21"),
        (Package(5 * EURO, 100), "0", "0"),
        (Package(5 * EURO, 100), "0.1", "5"),
        (Package(5 * EURO, 100), "100", "5"),
        (Package(5 * EURO, 100), "100.1", "10"),
    ],
)
def test_what_a_quantity_comes_to(price: PriceModel, units: str, amount: str | Fraction) -> None:
    assert amounts(rate(card(price), [used(units)])) == [Fraction(amount)]


def test_a_billion_tokens_at_a_ten_millionth_are_a_hundred_to_the_cent() -> None:
    (line,) = rate(card(PerUnit(UnitPrice(100)), "USD"), [used(1)] * 1000 + [used(10**9 - 1000)])
    assert line.amount == 100
    assert (line_minor(line.amount, "USD"), line.events) == (10_000, 1001)


@pytest.mark.parametrize(
    ("currency", "nanos", "minor"),
    [("JPY", EURO // 2, 0), ("JPY", 3 * EURO // 2, 2), ("EUR", CENT // 2, 0), ("EUR", 3 * CENT // 2, 2),
     ("BHD", 1_500_000, 2), ("BHD", 2_500_000, 2), ("BHD", 2_500_001, 3)],
)  # fmt: skip
def test_each_currency_is_rounded_half_even_to_its_decimals(currency: str, nanos: int, minor: int) -> None:
    (line,) = rate(card(PerUnit(UnitPrice(nanos)), currency), [used(1)])
    assert line_minor(line.amount, currency) == minor


def test_tiers_are_shown_step_by_step() -> None:
    (line,) = rate(card(Graduated(TIERS), included_units=Decimal(2)), [used(23)])
    assert steps(line) == [
        ("included", 2, 0), ("tier", 10, 10), ("tier_flat", 1, 1), ("tier", 10, 5), ("tier", 1, Fraction(1, 100)),
        ("tier_flat", 1, 3),
    ]  # fmt: skip
    assert [(step.above, step.up_to) for step in line.steps if step.kind == "tier"] == [
        (None, 10), (10, 20), (20, None),
    ]  # fmt: skip
    assert of(line, "quantity", "included") == (23, 2)


def test_included_units_are_shared_in_the_order_of_the_lines() -> None:
    grouped = card(PerUnit(UnitPrice(EURO)), included_units=Decimal(5), group_by=("project",))
    lines = rate(grouped, [used(4, project="b"), used(3, project="a"), used(1, project="c")])
    assert [of(line, "dimensions", "included", "amount") for line in lines] == [
        ((("project", "a"),), 3, 0), ((("project", "b"),), 2, 2), ((("project", "c"),), 0, 1),
    ]  # fmt: skip


def test_tiers_begin_anew_in_each_group() -> None:
    grouped = card(Graduated(TIERS), group_by=("project",))
    assert amounts(rate(grouped, [used(10, project="a"), used(10, project="b")])) == [11, 11]


def test_a_filter_leaves_other_values_out() -> None:
    filtered = card(PerUnit(UnitPrice(EURO)), filters=(Filter("status", ("200", "201")),))
    usage = [used(1, status="200"), used(10, status="500"), used(100, status="201"), used(1000)]
    assert amounts(rate(filtered, usage)) == [1101]


def test_rates_by_model_make_a_line_for_each() -> None:
    price = PerDimension(("model",), (DimensionRate(("big",), UnitPrice(2 * EURO)),), UnitPrice(EURO))
    lines = rate(card(price), [used(3, model="small"), used(1, model="big"), used(1, model="big")])
    assert [of(line, "dimensions", "amount") for line in lines] == [
        ((("model", "big"),), 4),
        ((("model", "small"),), 3),
    ]


def test_a_gap_between_rates_is_refused() -> None:
    price = PerDimension(("model",), (DimensionRate(("big",), UnitPrice(EURO)),))
    with pytest.raises(OmniError) as refused:
        rate(card(price), [used(1, model="small")])
    assert refused.value.code == "no_rate_for_dimensions"
    assert "model = small" in refused.value.message


def test_fees_and_seats() -> None:
    assert amounts(rate(card(Flat(99 * EURO)), [])) == [99]
    assert amounts(rate(card(Seat(8 * EURO), included_units=Decimal(2)), [used(5)])) == [24]


PERCENT = Percentage(Decimal("2.9"), fixed_nanos=30 * CENT)


@pytest.mark.parametrize(
    ("changes", "values", "amount"),
    [
        ({}, ("100", "0"), "3.5"),
        ({"free_transactions": 1}, ("100", "10"), "0.59"),
        ({"free_value": Decimal(50)}, ("50", "10"), "0.59"),
        ({"free_value": Decimal(60)}, ("50", "20"), "0.59"),
        ({"free_value": Decimal(60), "free_transactions": 1}, ("50", "10"), "0.59"),
        ({"free_value": Decimal(60), "free_transactions": 9}, ("50", "20"), "0.59"),
        ({"minimum_nanos": EURO}, ("10", "10"), "2"),
        ({"maximum_nanos": EURO}, ("100", "10"), "1.59"),
        ({"free_transactions": 1, "minimum_nanos": EURO}, ("10", "10"), "1"),
    ],
)
def test_a_percentage_of_each_transaction(changes: dict[str, object], values: tuple[str, ...], amount: str) -> None:
    price = replace(PERCENT, **changes)  # type: ignore[arg-type]
    (line,) = rate(card(price), [], [paid(value) for value in values])
    assert of(line, "amount", "events", "quantity") == (Fraction(amount), len(values), sum(map(int, values)))


def test_free_transactions_are_shared_in_the_order_in_which_they_happened() -> None:
    price = replace(PERCENT, free_transactions=2)
    lines = rate(card(price, group_by=("project",)), [], [paid("10", project=name) for name in ("b", "b", "a")])
    assert [of(line, "dimensions", "amount") for line in lines] == [
        ((("project", "a"),), Fraction("0.59")), ((("project", "b"),), 0),
    ]  # fmt: skip


def test_events_may_say_what_they_cost() -> None:
    (line,) = rate(card(PriceInEvent()), [], [paid("1", "0.000001"), paid("2", "3")])
    assert of(line, "amount", "quantity", "events") == (Fraction("3.000001"), 3, 2)


def test_a_minimum_and_a_maximum_hold_on_rounded_lines() -> None:
    thirds = card(PerUnit(UnitPrice(CENT, 3)), group_by=("project",), minimum_minor=100, maximum_minor=200)
    usage = [used(100, project=name) for name in "abc"]
    few = rate(thirds, usage)
    assert [line_minor(line.amount, "EUR") for line in few] == [33, 33, 33, 1]
    assert few[-1].steps[0].kind == "card_minimum"
    many = rate(thirds, [used(250, project=name) for name in "abc"])
    assert [line_minor(line.amount, "EUR") for line in many] == [83, 83, 83, -49]
    assert many[-1].steps[0].kind == "card_maximum"
    assert sum(line_minor(line.amount, "EUR") for line in rate(thirds, [])) == 100


def test_a_plans_minimum_is_a_line_of_what_is_missing() -> None:
    line = commitment_line(4_321, 5_000, "EUR")
    assert line is not None
    assert (line.card, line.amount) == ("minimum_commitment", Fraction("6.79"))
    assert commitment_line(5_000, 5_000, "EUR") is None


@pytest.mark.parametrize(
    ("price", "usage", "transactions", "code"),
    [
        (PerUnit(UnitPrice(1)), [used(-1)], [], "invalid_quantity"),
        (PerUnit(UnitPrice(1)), [], [paid("1")], "wrong_kind_of_usage"),
        (PERCENT, [used(1)], [], "wrong_kind_of_usage"),
        (PERCENT, [], [paid("-1")], "invalid_quantity"),
        (PERCENT, [], [paid("NaN")], "invalid_quantity"),
        (PERCENT, [], [paid("Infinity")], "invalid_quantity"),
        (PriceInEvent(), [], [paid("1")], "event_without_price"),
        (PriceInEvent(), [], [paid("1", "-1")], "invalid_quantity"),
        (Seat(1), [used("0.5")], [], "invalid_quantity"),
    ],
)
def test_usage_that_does_not_fit_is_refused(
    price: PriceModel, usage: list[Quantity], transactions: list[Transaction], code: str
) -> None:
    with pytest.raises(OmniError) as refused:
        rate(card(price), usage, transactions)
    assert refused.value.code == code


@pytest.mark.parametrize("price", [Graduated(TIERS[:2]), Volume(TIERS[:2])])
def test_units_that_no_tier_holds_are_never_free(price: PriceModel) -> None:
    with pytest.raises(ValueError, match="the last tier is not open"):
        rate(card(price), [used("20.1")])


def test_usage_without_a_dimension_that_the_card_needs_is_refused() -> None:
    with pytest.raises(OmniError) as refused:
        rate(card(PerUnit(UnitPrice(1)), group_by=("project",)), [used(1)])
    assert refused.value.code == "missing_dimension"


@given(seed=st.integers(0, 2**64))
@settings(max_examples=400, deadline=None)
def test_rating_equals_the_oracle(seed: int) -> None:
    chance = random.Random(seed)
    currency = chance.choice(("EUR", "JPY", "BHD"))
    drawn = random_card(chance, currency)
    check_card(drawn, {"input_tokens"})
    usage, transactions = random_usage(chance, drawn)
    lines = rate(drawn, usage, transactions)
    expected = oracle.lines_of(drawn, usage, transactions)
    plain = [line for line in lines if not line.steps or line.steps[0].kind not in ("card_minimum", "card_maximum")]
    assert {tuple(value for _, value in line.dimensions): line.amount for line in plain} == expected
    assert len(plain) == len(expected)
    assert all(line.amount == sum(step.amount for step in line.steps) for line in lines)
    assert all([name for name, _ in line.dimensions] == list(line_dimensions(drawn)) for line in plain)
    billed = sum(oracle.minor(amount, currency) for amount in expected.values())
    low = billed if drawn.minimum_minor is None else max(billed, drawn.minimum_minor)
    within = low if drawn.maximum_minor is None else min(low, drawn.maximum_minor)
    assert sum(line_minor(line.amount, currency) for line in lines) == within
