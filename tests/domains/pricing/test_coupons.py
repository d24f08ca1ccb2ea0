"""Coupons: what they take off, and who may redeem them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.domains.pricing.contracts import AmountOff, Coupon, PercentOff
from omni.domains.pricing.rules.coupons import allocate, check_coupon, check_redemption, discounts, holds_in_period
from omni.kit.errors import OmniError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    product: str
    amount_minor: int


def percent_off(percent: str, code: str = "PERCENT", **members: Any) -> Coupon:
    return Coupon(code, "A share", PercentOff(Decimal(percent)), "forever", **members)


def amount_off(minor: int, currency: str = "EUR", code: str = "AMOUNT", **members: Any) -> Coupon:
    return Coupon(code, "An amount", AmountOff(minor, currency), "forever", **members)


def taken(lines: list[Line], *coupons: Coupon) -> list[tuple[str, tuple[int, ...]]]:
    return [(each.coupon, each.by_line) for each in discounts(lines, coupons, "EUR")]


LINES = [Line("api", 1000), Line("storage", 500), Line("api", 501)]


def test_a_percentage_is_rounded_once_and_spread() -> None:
    assert taken(LINES, percent_off("10")) == [("PERCENT", (100, 50, 50))]
    assert taken([Line("a", 5), Line("a", 10)], percent_off("10")) == [("PERCENT", (1, 1))]


def test_an_amount_takes_no_more_than_there_is() -> None:
    assert taken(LINES, amount_off(5000)) == [("AMOUNT", (1000, 500, 501))]
    assert taken(LINES, amount_off(100)) == [("AMOUNT", (50, 25, 25))]


def test_a_coupon_for_products_leaves_others_alone() -> None:
    assert taken(LINES, percent_off("50", products=("api",))) == [("PERCENT", (500, 0, 250))]
    assert taken(LINES, amount_off(5000, products=("training",))) == [("AMOUNT", (0, 0, 0))]


def test_products_come_before_the_invoice_and_percentages_before_amounts() -> None:
    whole, amount = percent_off("50", "WHOLE"), amount_off(100, code="A-HUNDRED")
    product = amount_off(500, code="STORAGE", products=("storage",))
    assert taken([Line("api", 1000), Line("storage", 500)], amount, whole, product) == [
        ("STORAGE", (0, 500)), ("WHOLE", (500, 0)), ("A-HUNDRED", (100, 0)),
    ]  # fmt: skip


def test_lines_below_zero_lower_the_base() -> None:
    assert taken([Line("api", 1000), Line("api", -400)], percent_off("50")) == [("PERCENT", (300, 0))]
    assert taken([Line("api", 100), Line("api", -400)], amount_off(50)) == [("AMOUNT", (0, 0))]


def test_a_coupon_given_twice_is_refused() -> None:
    with pytest.raises(OmniError) as refused:
        discounts(LINES, [percent_off("10"), percent_off("10")], "EUR")
    assert refused.value.code == "coupon_already_redeemed"


def test_an_amount_in_another_currency_is_refused() -> None:
    with pytest.raises(OmniError) as refused:
        discounts(LINES, [amount_off(10, "USD")], "EUR")
    assert refused.value.code == "coupon_currency"


@given(
    st.lists(st.tuples(st.sampled_from(["api", "storage"]), st.integers(-500, 5000)), max_size=6),
    st.lists(st.tuples(st.booleans(), st.integers(1, 100), st.sampled_from([(), ("api",)])), max_size=4),
)
def test_nothing_falls_below_zero(
    lines: list[tuple[str, int]], chosen: list[tuple[bool, int, tuple[str, ...]]]
) -> None:
    coupons = [
        percent_off(str(size), f"C{n}", products=products)
        if share
        else amount_off(size * 50, "EUR", f"C{n}", products=products)
        for n, (share, size, products) in enumerate(chosen)
    ]
    charges = [Line(product, amount) for product, amount in lines]
    applied = discounts(charges, coupons, "EUR")
    for index, line in enumerate(charges):
        off = [each.by_line[index] for each in applied]
        assert min(off, default=0) >= 0
        assert sum(off) <= max(line.amount_minor, 0)
    assert sum(each.total_minor for each in applied) <= max(sum(max(line.amount_minor, 0) for line in charges), 0)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8), st.data())
def test_shares_add_up_and_stay_near_their_part(weights: list[int], data: st.DataObject) -> None:
    whole = sum(weights)
    total = data.draw(st.integers(0, whole))
    shares = allocate(total, weights)
    assert sum(shares) == total
    assert all(
        abs(share * whole - total * weight) < max(whole, 1) for share, weight in zip(shares, weights, strict=True)
    )


def test_nothing_to_spread_over_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to spread over"):
        allocate(1, [0, 0])


@pytest.mark.parametrize(
    ("duration", "periods", "held"),
    [("once", None, [True, False, False]), ("repeating", 2, [True, True, False]), ("forever", None, [True] * 3)],
)
def test_how_long_a_coupon_holds(duration: Any, periods: int | None, held: list[bool]) -> None:
    coupon = replace(percent_off("10"), duration=duration, periods=periods)
    assert [holds_in_period(coupon, period) for period in (1, 2, 3)] == held


@pytest.mark.parametrize(
    ("members", "held", "code"),
    [
        ({}, ["OTHER", "AMOUNT"], "coupon_already_redeemed"),
        ({"expires_at": NOW}, [], "coupon_expired"),
        ({"max_redemptions": 3}, [], "coupon_used_up"),
        ({"discount": AmountOff(1, "USD")}, [], "coupon_currency"),
    ],
)
def test_who_may_not_redeem(members: dict[str, Any], held: list[str], code: str) -> None:
    with pytest.raises(OmniError) as refused:
        check_redemption(replace(amount_off(100), **members), NOW, 3, held, "EUR")
    assert refused.value.code == code


def test_who_may_redeem() -> None:
    coupon = amount_off(100, expires_at=NOW + timedelta(seconds=1), max_redemptions=4)
    check_redemption(coupon, NOW, 3, ["OTHER"], "EUR")


@pytest.mark.parametrize(
    ("coupon", "code"),
    [
        (replace(percent_off("10"), duration="repeating"), "invalid_coupon"),
        (replace(percent_off("10"), periods=3), "invalid_coupon"),
        (percent_off("0"), "invalid_coupon"),
        (amount_off(0), "invalid_coupon"),
        (amount_off(10, "XXX"), "unknown_currency"),
        (percent_off("10", products=("api", "api")), "invalid_coupon"),
    ],
)
def test_a_coupon_that_means_nothing_is_refused(coupon: Coupon, code: str) -> None:
    with pytest.raises(OmniError) as refused:
        check_coupon(coupon)
    assert refused.value.code == code
    check_coupon(percent_off("10"))
