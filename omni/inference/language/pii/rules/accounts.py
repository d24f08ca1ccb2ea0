"""Accounts: IBANs, payment cards, value-added-tax numbers of the European Union."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from omni.inference.language.pii.matches import Finder, Match, Rule
from omni.inference.language.pii.rules.persons import is_slovenian_tax_number, is_spanish_person
from omni.kit.check_digits import IBAN_LENGTHS, luhn, mod_11_10, mod_97, weighted

_SPACES = " \u00a0"
_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?=[ \u00a0]?[0-9A-Za-z])")
_GROUPED = re.compile(r"(?<![\w.])(?:[0-9]{12,19}|[0-9]{3,7}(?:[ \u00a0-][0-9]{3,7}){2,5})(?![0-9])")


def ibans(text: str) -> Iterator[Match]:
    """ISO 13616: the country's length, with or without single spaces, and the check digits of mod 97-10."""
    for found in _IBAN_START.finditer(text):
        left = IBAN_LENGTHS.get(found.group()[:2].upper(), 0) - 4
        if left < 0:
            continue
        end, letters = found.end(), []
        while left and end < len(text):
            if text[end] in _SPACES and end + 1 < len(text) and text[end + 1] not in _SPACES:
                end += 1
            if not (text[end].isascii() and text[end].isalnum()):
                break
            letters.append(text[end])
            end, left = end + 1, left - 1
        if left or (end < len(text) and text[end].isalnum()):
            continue
        if mod_97("".join(letters) + found.group()) == 1:
            yield Match(found.start(), end, "IBAN", f"iban_{found.group()[:2].lower()}", "high")


def payment_cards(text: str) -> Iterator[Match]:
    """ISO/IEC 7812: a brand's first digits and length, Luhn's check digit; in one or in groups of three digits and
    more.
    """
    for found in _GROUPED.finditer(text):
        groups = [group.span() for group in re.finditer("[0-9]+", found.group())]
        for first in range(len(groups)):
            last = next((last for last in range(len(groups), first, -1) if _brand_of(found, groups[first:last])), None)
            if last is not None:
                start, end = groups[first][0], groups[last - 1][1]
                brand = _brand_of(found, groups[first:last])
                yield Match(found.start() + start, found.start() + end, "PAYMENT_CARD", brand, "high")
                break


def _brand_of(found: re.Match[str], groups: list[tuple[int, int]]) -> str:
    """The brand whose card these groups of digits are, or ""."""
    digits = "".join(found.group()[start:end] for start, end in groups)
    brand = card_brand(digits)
    return brand if brand and luhn(digits) and len(set(digits)) > 1 else ""


def card_brand(digits: str) -> str:
    """The brand that has cards of these first digits and this length, or ""."""
    size, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    brands: tuple[tuple[str, bool, tuple[int, ...]], ...] = (
        ("visa", digits[0] == "4", (13, 16, 19)),
        ("mastercard", 51 <= two <= 55 or 2221 <= four <= 2720, (16,)),
        ("american_express", two in (34, 37), (15,)),
        ("diners_club", 300 <= three <= 305 or two in (36, 38, 39), (14, 16, 17, 18, 19)),
        ("discover", four == 6011 or two == 65 or 644 <= three <= 649, (16, 17, 18, 19)),
        ("jcb", 3528 <= four <= 3589, (16, 17, 18, 19)),
        ("unionpay", two == 62, (16, 17, 18, 19)),
        ("maestro", four in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763), tuple(range(12, 20))),
    )
    return next((brand for brand, begins, sizes in brands if begins and size in sizes), "")


def _at(text: str) -> bool:
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(text[1:-1]))
    return (96 - total) % 10 == int(text[-1])


def _es(text: str) -> bool:
    if is_spanish_person(text):
        return True
    if not re.fullmatch("[ABCDEFGHJNPQRSUVW][0-9]{7}[0-9A-J]", text):
        return False
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(text[1:-1]))
    check = -total % 10
    return text[-1] in (str(check), "JABCDEFGHI"[check])


def _fr(text: str) -> bool:
    key, siren = text[:2], text[2:]
    return siren.isdecimal() and luhn(siren) and (not key.isdecimal() or int(key) == (12 + 3 * int(siren)) % 97)


def _nl(text: str) -> bool:
    old = weighted(text, range(9, 1, -1)) % 11 == int(text[8]) and text[:9] != "0" * 9
    return old or mod_97(f"NL{text}") == 1


def _ro(text: str) -> bool:
    return weighted(text[:-1].zfill(9), (7, 5, 3, 2, 1, 7, 5, 3, 2)) * 10 % 11 % 10 == int(text[-1])


# Check digits as the European Commission's "VIES: algorithms of VAT numbers" states them; the pattern stands behind
# the country's letters.
_VAT: dict[str, tuple[str, Callable[[str], bool]]] = {
    "AT": ("U[0-9]{8}", _at),
    "BE": ("[01][0-9]{9}", lambda n: 97 - int(n[:8]) % 97 == int(n[8:])),
    "DE": ("[1-9][0-9]{8}", mod_11_10),
    "DK": ("[1-9][0-9]{7}", lambda n: weighted(n, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0),
    "EE": ("10[0-9]{7}", lambda n: weighted(n, (3, 7, 1, 3, 7, 1, 3, 7, 1)) % 10 == 0),
    "EL": ("[0-9]{9}", lambda n: weighted(n, [2**p for p in range(8, 0, -1)]) % 11 % 10 == int(n[8]) and int(n) > 0),
    "ES": ("[0-9A-Z][0-9]{7}[0-9A-Z]", _es),
    "FI": ("[0-9]{8}", lambda n: weighted(n, (7, 9, 10, 5, 8, 4, 2, 1)) % 11 == 0 and int(n) > 0),
    "FR": ("[0-9A-HJ-NP-Z]{2}[0-9]{9}", _fr),
    "HR": ("[0-9]{11}", mod_11_10),
    "HU": ("[1-9][0-9]{7}", lambda n: weighted(n, (9, 7, 3, 1, 9, 7, 3, 1)) % 10 == 0),
    "IT": ("[0-9]{11}", lambda n: luhn(n) and int(n) > 0),
    "LU": ("[0-9]{8}", lambda n: int(n[:6]) % 89 == int(n[6:]) and int(n) > 0),
    "MT": ("[1-9][0-9]{7}", lambda n: weighted(n, (3, 4, 6, 7, 8, 9, 10, 1)) % 37 == 0),
    "NL": ("[0-9]{9}B[0-9]{2}", _nl),
    "PL": ("[1-9][0-9]{9}", lambda n: weighted(n, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(n[9])),
    "PT": ("[1-9][0-9]{8}", lambda n: (11 - weighted(n, range(9, 1, -1)) % 11) % 11 % 10 == int(n[8])),
    "RO": ("[1-9][0-9]{5,9}", _ro),
    "SE": ("[0-9]{10}01", lambda n: luhn(n[:10])),
    "SI": ("[1-9][0-9]{7}", is_slovenian_tax_number),
    "SK": ("[1-9][0-9]{9}", lambda n: int(n) % 11 == 0),
}  # fmt: skip
VAT_COUNTRIES = tuple(_VAT)


def _after_country(check: Callable[[str], bool], text: str) -> bool:
    return check(text[2:].lstrip())


_VAT_RULES = tuple(
    Rule(
        "VAT_ID",
        f"vat_{country.lower()}",
        re.compile(rf"(?<!\w){country} ?{shape}(?!\w)"),
        partial(_after_country, check),
        "high",
    )
    for country, (shape, check) in _VAT.items()
)
FINDERS: tuple[Finder, ...] = (ibans, payment_cards, *(rule.find for rule in _VAT_RULES))
