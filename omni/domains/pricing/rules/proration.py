"""The share of a fee that falls on part of a period."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

_MICROSECOND = timedelta(microseconds=1)


def prorate(amount: Fraction, used: timedelta, whole: timedelta) -> Fraction:
    """`amount` × `used` / `whole`, exact to the microsecond; credit for the rest is `amount` less that.

    Raises ValueError unless 0 ≤ used ≤ whole and whole > 0.
    """
    if whole <= timedelta(0) or not timedelta(0) <= used <= whole:
        raise ValueError("used must lie within the whole period")
    return amount * Fraction(used // _MICROSECOND, whole // _MICROSECOND)
