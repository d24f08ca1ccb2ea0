"""Check digits of numbers that persons and accounts have. Every function takes the number without separators."""

from __future__ import annotations

from collections.abc import Sequence


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mod_97(text: str) -> int:
    """ISO/IEC 7064 mod 97-10: the remainder of a number in which A is 10 and Z is 35."""
    return int("".join(str(int(letter, 36)) for letter in text)) % 97


def mod_11_10(digits: str) -> bool:
    """ISO/IEC 7064 mod 11,10."""
    check = 5
    for digit in digits:
        check = ((check or 10) * 2 % 11 + int(digit)) % 10
    return check == 1


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of digits times weights, as many as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))
