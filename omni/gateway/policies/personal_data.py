"""Personal data in text: e-mail and IP addresses, telephone numbers, accounts, cards, and numbers that name a person.

| kind | what is found |
|---|---|
| EMAIL | an address with a domain of two labels or more |
| IBAN, CARD | by country or number range, with a right check digit |
| PHONE | `+` or `00` and 8 to 15 digits; North American; grouped digits behind a national 0 |
| IP | version 4 and 6 |
| EMSO, SI_TAX, SSN, DNI, CODICE_FISCALE, NIR | by form and check digit; a davčna številka with `SI` or a word for it |

Nothing that is found is longer than LONGEST, and nothing reaches further back than CONTEXT: that is what streams hold.
Every pattern is bounded, so that a hostile text costs no more than a long one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from omni.gateway.policies import checksums
from omni.kit import check_digits

LONGEST = 128
CONTEXT = 40

Found = tuple[int, int, str]
"""Start, end, kind."""

_TRIGGER = re.compile(r"[0-9@]")
_CANDIDATE = re.compile(
    r"""(?x)
    (?<![\w.+-]) (?P<email> [\w.%+-]{1,64} @ (?:[a-z0-9-]{1,40}\.){1,4} [a-z]{2,22} ) (?![\w-])
    | (?<!\w) (?P<iban> [a-z]{2}\d{2} (?:[ \u00a0]?[a-z0-9]{4}){2,7} (?:[ \u00a0]?[a-z0-9]{1,3})? ) (?!\w)
    | (?<![\w.:]) (?P<ipv4> (?:\d{1,3}\.){3}\d{1,3} ) (?!\.?\w)
    | (?<![\w.:]) (?P<ipv6> (?=[0-9a-f:]{0,4}:) [0-9a-f:]{4,39} (?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})? ) (?![\w:])
    | (?<!\w) (?P<fiscale> [a-z]{6}[0-9lmnpqrstuv]{2}[a-z][0-9lmnpqrstuv]{2}[a-z][0-9lmnpqrstuv]{3}[a-z] ) (?!\w)
    | (?<!\w) (?P<dni> (?:\d{8}|[xyz]\d{7})-?[a-z] ) (?!\w)
    | (?<![\w.,]) (?P<number> (?:\+|\(\+?)? \d (?:[().\-/]?[ \u00a0]?[(\-/]?\d){6,24} ) (?!\w)
    | (?<!\w) si (?P<tax> \d{8} ) (?!\w)
    """,
    re.IGNORECASE,
)
_TAX_WORDS = re.compile(r"(?:dav[čc]n\w{0,6}|ddv|vat|tax|tin)\b[^\d]{0,20}$|\bsi[ :-]{0,2}$", re.IGNORECASE)
_ABROAD = re.compile(r"\(?\+|00[ ]?[1-9]")
_AMERICAN = re.compile(r"(?:1[ .-])?(?:\(\d{3}\)[ ]?|\d{3}[.-])\d{3}[.-]\d{4}")
_NATIONAL = re.compile(r"\(?0[1-9]\d{0,3}\)?[ /-]{1,3}\d{2,4}(?:[ -]?\d{2,4}){1,3}")
_SSN = re.compile(r"\d{3}-\d{2}-\d{4}")
_SEPARATORS = re.compile(r"[ \u00a0().\-/]+")
_NO_SEPARATORS = str.maketrans("", "", " \u00a0().-/+")


def find(text: str, start: int = 0) -> Iterator[Found]:
    """What is found from `start` on, in order and without overlaps; the text before is looked at as context."""
    if _TRIGGER.search(text, start) is None:
        return
    while (match := _CANDIDATE.search(text, start)) is not None:
        kind = str(match.lastgroup)
        found = _CHECKS[kind](text, match.start(kind), match.end(kind))
        if found is None:
            start = match.start() + 1
        else:
            yield found
            start = found[1]


def _email(_: str, start: int, end: int) -> Found | None:
    return start, end, "EMAIL"


def _iban(text: str, start: int, end: int) -> Found | None:
    """The longest run of groups that is one: a word may follow."""
    for stop in _stops(text, start, end):
        if checksums.is_iban(_SEPARATORS.sub("", text[start:stop]).upper()):
            return start, stop, "IBAN"
    return None


def _stops(text: str, start: int, end: int) -> Iterator[int]:
    """Ends of the groups of a candidate, the last first."""
    yield end
    for separator in reversed(list(_SEPARATORS.finditer(text, start + 1, end))):
        yield separator.start()


def _ip(text: str, start: int, end: int) -> Found | None:
    value = text[start:end]
    if ":" in value and (value.count(":") < 2 or len(value) < 6 or not any(sign.isdigit() for sign in value)):
        return None
    try:
        ip_address(value)
    except ValueError:
        return None
    return start, end, "IP"


def _fiscale(text: str, start: int, end: int) -> Found | None:
    return (start, end, "CODICE_FISCALE") if check_digits.is_codice_fiscale(text[start:end].upper()) else None


def _dni(text: str, start: int, end: int) -> Found | None:
    return (start, end, "DNI") if checksums.is_dni(text[start:end].replace("-", "").upper()) else None


def _tax(text: str, start: int, end: int) -> Found | None:
    return (start, end, "SI_TAX") if checksums.is_si_tax(text[start:end]) else None


def _number(text: str, start: int, end: int) -> Found | None:
    if text[start] == "(" and ")" not in text[start : start + 7]:
        start += 1  # it belongs to the sentence
    abroad = _ABROAD.match(text, start) is not None
    for stop in _stops(text, start, end):
        value = text[start:stop]
        digits = value.translate(_NO_SEPARATORS)
        if not digits.isascii():
            return None
        if abroad:
            kind = "PHONE" if 8 <= len(digits.removeprefix("00")) <= 15 else None
        else:
            kind = _kind_of_number(digits, value, text[max(0, start - CONTEXT) : start])
        if kind is not None:
            return start, stop, kind
    return None


def _kind_of_number(digits: str, value: str, before: str) -> str | None:
    kind, size = None, len(digits)
    if size > 12:
        if size <= 19 and checksums.is_card(digits):
            kind = "CARD"
        elif size == 13 and checksums.is_emso(digits):
            kind = "EMSO"
        elif size == 15 and checksums.is_nir(digits):
            kind = "NIR"
    elif size == 8 and _TAX_WORDS.search(before) and checksums.is_si_tax(digits):
        kind = "SI_TAX"
    elif size == 9 and _SSN.fullmatch(value) and checksums.is_ssn(value):
        kind = "SSN"
    elif (size in (10, 11) and _AMERICAN.fullmatch(value)) or (
        size >= 8 and value[0] in "0(" and _NATIONAL.fullmatch(value)
    ):
        kind = "PHONE"
    return kind


_CHECKS: dict[str, Callable[[str, int, int], Found | None]] = {
    "email": _email,
    "iban": _iban,
    "ipv4": _ip,
    "ipv6": _ip,
    "fiscale": _fiscale,
    "dni": _dni,
    "number": _number,
    "tax": _tax,
}
