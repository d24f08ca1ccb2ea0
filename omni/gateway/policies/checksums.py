"""Check digits of numbers that name a person or an account: what passes is hardly ever something else."""

from __future__ import annotations

from datetime import date

from omni.kit.check_digits import IBAN_LENGTHS, luhn, mod_97

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def is_iban(text: str) -> bool:
    """ISO 13616: length by country, and the remainder by 97 (ISO 7064). `text` without spaces, in capitals."""
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return mod_97(text[4:] + text[:4]) == 1


def is_card(digits: str) -> bool:
    """A payment card: a number range and length that are in use, and Luhn's check digit (ISO/IEC 7812)."""
    two, four, size = int(digits[:2]), int(digits[:4]), len(digits)
    known = (
        (digits[0] == "4" and size in (13, 16, 19))
        or ((51 <= two <= 55 or 2221 <= four <= 2720) and size == 16)
        or (two in (34, 37) and size == 15)
        or (two in (30, 36, 38, 39) and size == 14)
        or ((four == 6011 or 64 <= two <= 65 or 3528 <= four <= 3589 or two == 62) and 16 <= size <= 19)
        or (two in (50, 56, 57, 58, 67) and size in (16, 18, 19))
    )
    return known and luhn(digits)


def is_emso(digits: str) -> bool:
    """EMŠO of Slovenia and JMBG of its neighbours: 13 digits, a date of birth and a check digit modulo 11."""
    if len(digits) != 13:
        return False
    year = int(digits[4:7])
    try:
        date(year + (1000 if year >= 800 else 2000), int(digits[2:4]), int(digits[:2]))
    except ValueError:
        return False
    weights = (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    rest = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=False)) % 11
    return rest != 1 and int(digits[12]) == (11 - rest) % 11


def is_si_tax(digits: str) -> bool:
    """Slovenia's davčna številka: eight digits, the last modulo 11."""
    if len(digits) != 8 or digits[0] == "0":
        return False
    rest = sum(weight * int(digit) for weight, digit in zip(range(8, 1, -1), digits, strict=False)) % 11
    return rest != 0 and int(digits[7]) == (11 - rest) % 10


def is_ssn(text: str) -> bool:
    """A social security number of the United States as the agency gives them out, `AAA-GG-SSSS`."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_dni(text: str) -> bool:
    """DNI or NIE of Spain: the letter is the number modulo 23. In capitals."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI_LETTERS[int(number) % 23] == text[-1]


def is_nir(digits: str) -> bool:
    """NIR of France, 15 digits: sex, year, month, place, and 97 less the remainder by 97."""
    return digits[0] in "12" and 1 <= int(digits[3:5]) <= 12 and int(digits[13:]) == 97 - int(digits[:13]) % 97
