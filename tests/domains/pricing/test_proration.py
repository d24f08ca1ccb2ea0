"""Fees for part of a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.domains.pricing.rules.proration import prorate
from omni.kit.money import line_minor

MONTH = timedelta(days=30)


def test_an_upgrade_in_the_middle_of_february_is_exact_to_the_second() -> None:
    start, end = datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)
    used = datetime(2028, 2, 15, 12, 0, 1, tzinfo=UTC) - start
    assert prorate(Fraction(29), used, end - start) == Fraction(29 * (14 * 86_400 + 43_201), 29 * 86_400)


@given(st.integers(0, 10**9), st.integers(0, 30 * 86_400), st.sampled_from(["EUR", "JPY", "BHD"]))
def test_what_was_used_and_what_is_given_back_are_the_whole(minor: int, seconds: int, currency: str) -> None:
    whole, used = Fraction(minor, 1000), timedelta(seconds=seconds)
    assert prorate(whole, used, MONTH) + prorate(whole, MONTH - used, MONTH) == whole
    assert 0 <= line_minor(prorate(whole, used, MONTH), currency) <= line_minor(whole, currency)


@pytest.mark.parametrize(
    ("used", "whole"), [(-MONTH, MONTH), (MONTH * 2, MONTH), (timedelta(0), timedelta(0)), (-MONTH, -MONTH)]
)
def test_a_part_outside_of_the_period_is_refused(used: timedelta, whole: timedelta) -> None:
    with pytest.raises(ValueError, match="within the whole period"):
        prorate(Fraction(1), used, whole)
