"""Check digits of numbers that name a person or an account: what passes is hardly ever something else."""

from __future__ import annotations

from datetime import date

# Lengths of IBANs by country (SWIFT IBAN registry).
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def is_iban(text: str) -> bool:
    """ISO 13616: length by country, and the remainder by 97 (ISO 7064). `text` without spaces, in capitals."""
    if _IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join([str(int(sign, 36)) for sign in text[4:] + text[:4]])) % 97 == 1


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
    return known and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if position % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


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


def is_codice_fiscale(text: str) -> bool:
    """Codice fiscale of Italy, 16 signs in capitals, the last a check."""
    total = 0
    for position, sign in enumerate(text[:15]):
        total += _ODD[sign] if position % 2 == 0 else int(sign, 36) - (10 if sign.isalpha() else 0)
    return ord(text[15]) - ord("A") == total % 26


def is_nir(digits: str) -> bool:
    """NIR of France, 15 digits: sex, year, month, place, and 97 less the remainder by 97."""
    return digits[0] in "12" and 1 <= int(digits[3:5]) <= 12 and int(digits[13:]) == 97 - int(digits[:13]) % 97
