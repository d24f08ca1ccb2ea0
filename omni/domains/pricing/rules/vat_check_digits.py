"""The check digits of each country's VAT numbers; the forms and the sources are in `vat_ids.py`.

Each function gets a number of the right form, without prefix, and says whether its check digits fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from omni.kit.check_digits import luhn

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _weighted(number: str, weights: Iterable[int]) -> int:
    """Σ digit × weight over as many digits as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def mod_11_10(number: str) -> bool:
    """ISO 7064 MOD 11,10: Germany, Croatia."""
    product = 10
    for digit in number[:-1]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(number[-1])


def austria(number: str) -> bool:
    body = number[1:]
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(body[:7]))
    return (10 - (total + 4) % 10) % 10 == int(body[7])


def belgium(number: str) -> bool:
    return 97 - int(number[:8]) % 97 == int(number[8:])


def bulgaria(number: str) -> bool:
    if len(number) == 9:
        check = _weighted(number, range(1, 9)) % 11
        if check == 10:
            check = _weighted(number, range(3, 11)) % 11
        return check % 10 == int(number[8])
    return _bulgarian_citizen(number) or _bulgarian_foreigner(number) or _bulgarian_other(number)


def _bulgarian_citizen(number: str) -> bool:
    month = int(number[2:4])
    century = {0: 1900, 1: 1900, 2: 1800, 3: 1800, 4: 2000, 5: 2000}.get(month // 10)
    if century is None or not _is_date(century + int(number[:2]), month % 20, int(number[4:6])):
        return False
    return _weighted(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(number[9])


def _bulgarian_foreigner(number: str) -> bool:
    return _weighted(number, (21, 19, 17, 13, 11, 9, 7, 3, 1)) % 10 == int(number[9])


def _bulgarian_other(number: str) -> bool:
    check = 11 - _weighted(number, (4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return check != 10 and check % 11 == int(number[9])


def cyprus(number: str) -> bool:
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
    total = sum(odd[int(digit)] if place % 2 == 0 else int(digit) for place, digit in enumerate(number[:8]))
    return _LETTERS[total % 26] == number[8]


def czechia(number: str) -> bool:
    if len(number) == 8:
        check = (11 - _weighted(number, range(8, 1, -1)) % 11) % 10
        return number[0] != "9" and check == int(number[7])
    if len(number) == 9 and number[0] == "6":
        return _czech_special(number)
    return _czech_person(number)


def _czech_special(number: str) -> bool:
    distance = -_weighted(number[1:], range(8, 1, -1)) % 11 or 11
    return (8, 7, 6, 5, 4, 3, 2, 1, 0, 9, 8)[distance - 1] == int(number[8])


def _czech_person(number: str) -> bool:
    """A birth number: year, month (women + 50), day; ten digits since 1954, divisible by 11."""
    year, month, day = int(number[:2]), int(number[2:4]) % 50, int(number[4:6])
    if len(number) == 9:
        return year <= 53 and _is_date(1900 + year, month, day)
    century = 1900 if year >= 54 else 2000
    return _is_date(century + year, month % 20, day) and int(number) % 11 == 0


def denmark(number: str) -> bool:
    return _weighted(number, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def estonia(number: str) -> bool:
    return -_weighted(number, (3, 7, 1, 3, 7, 1, 3, 7)) % 10 == int(number[8])


def greece(number: str) -> bool:
    return _weighted(number, (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10 == int(number[8])


def spain(number: str) -> bool:
    """Persons: the number modulo 23 as a letter (NIF, NIE). Others: a digit, a letter or either of them (CIF)."""
    first, body, last = number[0], number[1:8], number[8]
    persons = "TRWAGMYFPDXBNJZSQVHLCKE"
    if first.isdigit():
        return persons[int(number[:8]) % 23] == last
    if first in "XYZ":
        return persons[int(f"{'XYZ'.index(first)}{body}") % 23] == last
    if first in "KLM":
        return persons[int(body) % 23] == last
    if first not in "ABCDEFGHJNPQRSUVW":
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[::2])
    check = -(doubled + sum(int(digit) for digit in body[1::2])) % 10
    by_digit, by_letter = last == str(check), last == "JABCDEFGHI"[check]
    if first in "ABEH":
        return by_digit
    return by_letter if first in "NPQRSW" else by_digit or by_letter


def finland(number: str) -> bool:
    check = -_weighted(number, (7, 9, 10, 5, 8, 4, 2)) % 11
    return check != 10 and check == int(number[7])


def france(number: str) -> bool:
    """A key of two characters before the SIREN, which has a check digit of its own (Monaco's, 000…, have none)."""
    key, siren = number[:2], number[2:]
    if not siren.startswith("000") and not luhn(siren):
        return False
    if key.isdigit():
        return int(siren + "12") % 97 == int(key)
    values = ["0123456789ABCDEFGHJKLMNPQRSTUVWXYZ".index(character) for character in key]
    combined = values[0] * 24 + values[1] - 10 if key[0].isdigit() else values[0] * 34 + values[1] - 100
    return (int(siren) + 1 + combined // 11) % 11 == combined % 11


def united_kingdom(number: str) -> bool:
    """Government departments (GD) and health authorities (HA) have no check digits."""
    if number[:2] in ("GD", "HA"):
        return True
    total = _weighted(number, range(8, 1, -1)) + int(number[7:9])
    return total % 97 == 0 or (total + 55) % 97 == 0


def hungary(number: str) -> bool:
    return -_weighted(number, (9, 7, 3, 1, 9, 7, 3)) % 10 == int(number[7])


def ireland(number: str) -> bool:
    """A second letter (since 2013) counts nine times; one in second place (before) does not count."""
    extra = 0
    if number[1].isdigit():
        body, letter = number[:7], number[7]
        extra = 9 * (_LETTERS.index(number[8]) + 1) if number[8:] not in ("", "W") else 0
    else:
        body, letter = f"0{number[2:7]}{number[0]}", number[7]
    return "WABCDEFGHIJKLMNOPQRSTUV"[(_weighted(body, range(8, 1, -1)) + extra) % 23] == letter


def italy(number: str) -> bool:
    office = int(number[7:10])
    return number[:7] != "0000000" and (1 <= office <= 100 or office in (120, 121, 888, 999)) and luhn(number)


def lithuania(number: str) -> bool:
    length = len(number)
    check = _weighted(number, [1 + place % 9 for place in range(length - 1)]) % 11
    if check == 10:
        check = _weighted(number, [1 + (place + 2) % 9 for place in range(length - 1)]) % 11
    return number[-2] == "1" and check % 10 == int(number[-1])


def luxembourg(number: str) -> bool:
    return int(number[:6]) % 89 == int(number[6:])


def latvia(number: str) -> bool:
    """Legal entities begin with 4 to 9; persons' codes are dates, or begin with 32 and tell nothing."""
    if number[0] > "3":
        check = (3 - _weighted(number, (9, 1, 4, 8, 3, 10, 2, 5, 7, 6))) % 11
        return check != 10 and check == int(number[10])
    if number.startswith("32"):
        return True
    century = {"0": 1800, "1": 1900, "2": 2000}.get(number[6])
    return century is not None and _is_date(century + int(number[4:6]), int(number[2:4]), int(number[:2]))


def malta(number: str) -> bool:
    return 37 - _weighted(number, (3, 4, 6, 7, 8, 9)) % 37 == int(number[6:])


def netherlands(number: str) -> bool:
    """Modulo 11 of the first nine digits, or, for those given since 2020, ISO 7064 MOD 97-10 of the whole."""
    check = _weighted(number, range(9, 1, -1)) % 11
    if check != 10 and check == int(number[8]):
        return True
    whole = "".join(str(int(character, 36)) for character in f"NL{number}")
    return int(whole) % 97 == 1


def poland(number: str) -> bool:
    check = _weighted(number, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11
    return check != 10 and check == int(number[9])


def portugal(number: str) -> bool:
    return -_weighted(number, range(9, 1, -1)) % 11 % 10 == int(number[8])


def romania(number: str) -> bool:
    padded = number.zfill(10)
    return 10 * _weighted(padded, (7, 5, 3, 2, 1, 7, 5, 3, 2)) % 11 % 10 == int(padded[9])


def sweden(number: str) -> bool:
    return luhn(number[:10])


def slovenia(number: str) -> bool:
    check = 11 - _weighted(number, range(8, 1, -1)) % 11
    return check != 11 and check % 10 == int(number[7])


def slovakia(number: str) -> bool:
    return int(number) % 11 == 0
