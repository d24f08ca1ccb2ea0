"""Check digits of numbers that persons and accounts have. Every function takes the number without separators."""

from __future__ import annotations

from collections.abc import Sequence

_REGISTRY = """
AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DK:18 DO:28 EE:20 EG:29
ES:24 FI:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20
LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MR:27 MT:31 MU:30 NL:18 NO:15 PK:24 PL:28 PS:29 PT:25
QA:29 RO:24 RS:22 SA:24 SC:31 SE:24 SI:19 SK:24 SM:27 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20
"""
IBAN_LENGTHS = {country: int(length) for country, _, length in (entry.partition(":") for entry in _REGISTRY.split())}
"""Characters of an IBAN by country, from SWIFT's registry."""


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


_ODD_VALUES = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def is_codice_fiscale(text: str) -> bool:
    """Italy's fiscal code (decree of 23 December 1976): the last letter from the values of the other fifteen."""
    code = text.upper()
    total = sum(
        _ODD_VALUES[letter] if place % 2 == 0 else int(letter) if letter.isdecimal() else ord(letter) - ord("A")
        for place, letter in enumerate(code[:15])
    )
    return chr(ord("A") + total % 26) == code[15]
