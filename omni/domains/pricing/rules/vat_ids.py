"""VAT identification numbers: their form and check digits.

Sources: European Commission, "VIES VAT number construction rules", functional description; Bundesministerium für
Finanzen (Austria), "Konstruktionsregeln der UID-Nummern"; for the Netherlands since 2020 and Ireland since 2013 the
publications of their tax offices; ISO 7064. A number that passes is well formed; whether it is in use, VIES knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from omni.domains.pricing.rules import vat_check_digits as digits
from omni.kit.errors import InvalidInput

_SEPARATORS = re.compile(r"[\s.\-/]")

# Prefix → the form after it, and the check.
_RULES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "AT": (r"U\d{8}", digits.austria),
    "BE": (r"[01]\d{9}", digits.belgium),
    "BG": (r"\d{9,10}", digits.bulgaria),
    "CY": (r"(?!12)[0-69]\d{7}[A-Z]", digits.cyprus),
    "CZ": (r"\d{8,10}", digits.czechia),
    "DE": (r"[1-9]\d{8}", digits.mod_11_10),
    "DK": (r"[1-9]\d{7}", digits.denmark),
    "EE": (r"10\d{7}", digits.estonia),
    "EL": (r"\d{9}", digits.greece),
    "ES": (r"[A-Z0-9]\d{7}[A-Z0-9]", digits.spain),
    "FI": (r"\d{8}", digits.finland),
    "FR": (r"[0-9A-HJ-NP-Z]{2}\d{9}", digits.france),
    "GB": (r"\d{9}|\d{12}|GD[0-4]\d\d|HA[5-9]\d\d", digits.united_kingdom),
    "HR": (r"\d{11}", digits.mod_11_10),
    "HU": (r"[1-9]\d{7}", digits.hungary),
    "IE": (r"\d{7}[A-W][A-IW]?|[7-9][A-Z+*]\d{5}[A-W]", digits.ireland),
    "IT": (r"\d{11}", digits.italy),
    "LT": (r"\d{9}|\d{12}", digits.lithuania),
    "LU": (r"\d{8}", digits.luxembourg),
    "LV": (r"\d{11}", digits.latvia),
    "MT": (r"[1-9]\d{7}", digits.malta),
    "NL": (r"\d{9}B(?!00)\d\d", digits.netherlands),
    "PL": (r"\d{10}", digits.poland),
    "PT": (r"[1-9]\d{8}", digits.portugal),
    "RO": (r"[1-9]\d{1,9}", digits.romania),
    "SE": (r"\d{10}(?!00)(?!9[5-9])\d\d", digits.sweden),
    "SI": (r"[1-9]\d{7}", digits.slovenia),
    "SK": (r"[1-9]\d[2-47-9]\d{7}", digits.slovakia),
    "XI": (r"\d{9}|\d{12}|GD[0-4]\d\d|HA[5-9]\d\d", digits.united_kingdom),
}
_PREFIXES = {"GR": ("EL",), "GB": ("GB", "XI")}
"""Greece writes EL; businesses of Northern Ireland have a British number with XI before it."""


def check_vat_id(country: str, text: str) -> str:
    """A VAT id with its prefix and without separators, such as `SI50223054`.

    `country` is ISO 3166-1 alpha-2, or a prefix. The prefix may be left out in `text`. Raises InvalidInput
    `invalid_vat_id` for another country's, a wrong form, wrong check digits, and countries whose ids are not known.
    """
    prefixes = _PREFIXES.get(country, (country,))
    if prefixes[0] not in _RULES:
        raise _invalid(f"VAT ids of {country} cannot be checked; known are the EU's, GB's and XI's")
    written = _SEPARATORS.sub("", text).upper()
    prefix = next((each for each in prefixes if written.startswith(each)), prefixes[0])
    number = written.removeprefix(prefix)
    if prefix == "BE" and len(number) == 9:
        number = f"0{number}"
    if prefix == "EL" and len(number) == 8:
        number = f"0{number}"
    form, passes = _RULES[prefix]
    if not re.fullmatch(form, number, re.ASCII):
        raise _invalid(f"this is not how VAT ids of {country} are written")
    if not passes(number):
        raise _invalid("its check digits do not fit: a digit is wrong or two are swapped")
    return prefix + number


def _invalid(reason: str) -> InvalidInput:
    return InvalidInput("invalid_vat_id", f"The VAT id is not valid: {reason}.", param="vat_id")
