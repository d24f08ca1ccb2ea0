"""How exact quantities are written."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from omni.kit.money import divide_half_even

DECIMALS = 12


def to_decimal(quantity: Fraction) -> Decimal:
    """Rounded to 12 decimals, half-even; exact where it has no more."""
    scaled = divide_half_even(quantity.numerator * 10**DECIMALS, quantity.denominator)
    return Decimal(f"{scaled}e-{DECIMALS}")


def to_text(quantity: Fraction) -> str:
    """The same as text, without zeros at the end."""
    text = format(to_decimal(quantity), "f")
    return text.rstrip("0").rstrip(".")


def to_json(quantity: Fraction) -> int | str:
    """An integer as one; everything else as a decimal in text."""
    return quantity.numerator if quantity.denominator == 1 else to_text(quantity)
