"""Integer money against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.kit.money import (
    CURRENCY_EXPONENTS,
    currency_exponent,
    divide_half_even,
    format_minor,
    line_minor,
)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**18))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


def test_division_needs_a_positive_divisor() -> None:
    with pytest.raises(ValueError, match="positive"):
        divide_half_even(1, 0)


@given(st.fractions(), st.integers(0, 40), st.sampled_from(sorted(CURRENCY_EXPONENTS)))
def test_an_exact_amount_is_rounded_once_half_even(amount: Fraction, power: int, currency: str) -> None:
    exact = amount * 10**power
    assert line_minor(exact, currency) == round(exact * 10 ** currency_exponent(currency))


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (5, "EUR", "0.05 EUR"),
        (-12345, "EUR", "-123.45 EUR"),
        (7, "JPY", "7 JPY"),
        (1, "BHD", "0.001 BHD"),
        (0, "USD", "0.00 USD"),
    ],
)
def test_amounts_for_people(minor: int, currency: str, text: str) -> None:
    assert format_minor(minor, currency) == text


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown currency 'XXX'"):
        currency_exponent("XXX")
