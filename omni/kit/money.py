"""Money as integers. One unit is 10⁹ nanos; a float never comes near it.

Prices and running costs are nanos of the currency's unit (int). Amounts on documents are minor units (cents), reached
by rounding once, half-even, to the currency's ISO 4217 exponent.
"""

from __future__ import annotations

from fractions import Fraction

NANO_DIGITS = 9

# ISO 4217 exponents of the currencies that Omni can bill in.
CURRENCY_EXPONENTS = {
    "BHD": 3, "CHF": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2, "HUF": 2, "JPY": 0, "KRW": 0, "KWD": 3,
    "NOK": 2, "PLN": 2, "SEK": 2, "TND": 3, "USD": 2,
}  # fmt: skip


def currency_exponent(currency: str) -> int:
    """Digits after the point of a currency. Raises ValueError for one that Omni does not bill in."""
    try:
        return CURRENCY_EXPONENTS[currency]
    except KeyError:
        raise ValueError(f"unknown currency {currency!r}; known: {', '.join(CURRENCY_EXPONENTS)}") from None


def divide_half_even(numerator: int, denominator: int) -> int:
    """The quotient as the nearest integer, ties to the even one (IEEE 754 roundTiesToEven). Exact for any size."""
    if denominator <= 0:
        raise ValueError("denominator must be positive")
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        quotient += 1
    return quotient


def line_minor(amount: Fraction, currency: str) -> int:
    """An exact amount in units of the currency as minor units, rounded once, half-even."""
    return divide_half_even(amount.numerator * 10 ** currency_exponent(currency), amount.denominator)


def format_nanos(amount_nanos: int) -> str:
    """A decimal number of whole units, exact and without zeros at its end: `0.6`, `12`."""
    whole, rest = divmod(abs(amount_nanos), 10**NANO_DIGITS)
    digits = f"{rest:09d}".rstrip("0")
    return ("-" if amount_nanos < 0 else "") + (f"{whole}.{digits}" if digits else str(whole))


def minor_to_nanos(amount_minor: int, currency: str) -> int:
    """Minor units as nano-units, exact."""
    scale: int = 10 ** (NANO_DIGITS - currency_exponent(currency))
    return amount_minor * scale


def format_minor(amount_minor: int, currency: str) -> str:
    """`12345, "EUR"` → `"123.45 EUR"`."""
    exponent = currency_exponent(currency)
    sign, digits = "-" if amount_minor < 0 else "", str(abs(amount_minor)).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], "." + digits[-exponent:]) if exponent else (digits, "")
    return f"{sign}{whole}{fraction} {currency}"
