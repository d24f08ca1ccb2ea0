"""Numbers that states give to persons, and dates of birth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from omni.inference.language.pii.matches import Finder, Match, Rule, cue
from omni.kit.check_digits import is_codice_fiscale, luhn, mod_11_10, weighted

_SPANISH_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_NEVER_ISSUED_SSN = ("078051120", "219099999")  # printed in advertisements
_SEPARATORS = re.compile(r"[^0-9A-Za-z]")


def _bare(text: str) -> str:
    return _SEPARATORS.sub("", text).upper()


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def is_emso(text: str) -> bool:
    """Slovenia's EMŠO (and the JMBG of former Yugoslavia): DDMMYYY, region, serial, check digit modulo 11."""
    digits = _bare(text)
    year = int(digits[4:7])
    check = -weighted(digits, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    born = year + (1000 if year >= 800 else 2000)
    return check == int(digits[12]) and _is_day(born, int(digits[2:4]), int(digits[:2]))


def is_slovenian_tax_number(text: str) -> bool:
    """Eight digits, the last 11 minus the weighted sum's remainder; 10 counts 0, 11 is not given."""
    digits = _bare(text)
    check = 11 - weighted(digits, range(8, 1, -1)) % 11
    return digits[0] != "0" and check != 11 and check % 10 == int(digits[-1])


def is_steuer_id(text: str) -> bool:
    """Germany's tax id (§ 139b AO): of the first ten digits one comes two or three times; mod 11,10."""
    digits = _bare(text)
    most = sorted((digits[:10].count(digit) for digit in set(digits[:10])), reverse=True)
    return digits[0] != "0" and most[0] in (2, 3) and most[1] == 1 and mod_11_10(digits)


def is_ssn(text: str) -> bool:
    """The United States' social security number: no check digit; areas 000, 666 and 9xx, group 00 and serial 0000 are
    not given (20 CFR 422.103 and the randomisation of 2011).
    """
    digits = _bare(text)
    if digits in _NEVER_ISSUED_SSN or digits[:3] in ("000", "666") or digits[0] == "9":
        return False
    return digits[3:5] != "00" and digits[5:] != "0000"


def is_nhs_number(text: str) -> bool:
    """The NHS number of England and Wales: modulo 11 with the weights 10 to 2."""
    digits = _bare(text)
    check = 11 - weighted(digits, range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(digits[9]) and len(set(digits)) > 1


def is_spanish_person(text: str) -> bool:
    """Spain's DNI and NIE: the letter from the number modulo 23; X, Y and Z of an NIE count 0, 1 and 2."""
    code = _bare(text)
    if not re.fullmatch("[0-9XYZ][0-9]{7}[A-Z]", code):
        return False
    number = int(str("XYZ".index(code[0])) + code[1:8]) if code[0] in "XYZ" else int(code[:8])
    return _SPANISH_LETTERS[number % 23] == code[8]


def is_nir(text: str) -> bool:
    """France's social security number: key 97 minus the number modulo 97; 2A and 2B of Corsica count 19 and 18."""
    code = _bare(text).replace("2A", "19").replace("2B", "18")
    return code.isdecimal() and 97 - int(code[:13]) % 97 == int(code[13:])


def is_bsn(text: str) -> bool:
    """The Netherlands' BSN: the eleven test with a last weight of -1."""
    digits = _bare(text)
    return weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and int(digits) > 0


def is_pesel(text: str) -> bool:
    """Poland's PESEL: YYMMDD with the century in the month, weights 1, 3, 7, 9."""
    digits = _bare(text)
    century, month = divmod(int(digits[2:4]), 20)
    year = (1900, 2000, 2100, 2200, 1800)[century] + int(digits[:2])
    right = -weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == int(digits[10])
    return right and _is_day(year, month, int(digits[4:6]))


def is_personnummer(text: str) -> bool:
    """Sweden's personal number: Luhn over ten digits; the day of a coordination number is raised by 60."""
    digits = _bare(text)[-10:]
    day = int(digits[4:6])
    return luhn(digits) and 1 <= int(digits[2:4]) <= 12 and 1 <= (day - 60 if day > 60 else day) <= 31


def is_oib(text: str) -> bool:
    """Croatia's OIB: eleven digits, mod 11,10."""
    return mod_11_10(_bare(text))


_TAX = (r"davčn\w+(?: številk\w+)?", "tax (?:id|number|no)", "identifikacijska številka")
_RULES = (
    Rule("NATIONAL_ID", "si_emso", re.compile(r"(?<!\w)[0-3][0-9][01][0-9]{4}[0-9]{6}(?!\w)"), is_emso, "medium",
         cue("EMŠO", "EMSO", "JMBG", "enotna matična številka")),
    Rule("NATIONAL_ID", "si_tax", re.compile(r"(?<!\w)[1-9][0-9]{7}(?!\w)"), is_slovenian_tax_number, "low",
         cue(*_TAX), needs_cue=True),
    Rule("NATIONAL_ID", "de_steuer_id", re.compile(r"(?<!\w)[1-9][0-9](?:[0-9]{9}|(?: [0-9]{3}){3})(?!\w)"),
         is_steuer_id, "medium", cue("Steuer-?ID", "Steuer-?Ident\\w*", "IdNr", "Identifikationsnummer", "TIN")),
    Rule("NATIONAL_ID", "it_codice_fiscale",
         re.compile(r"(?<!\w)[A-Za-z]{6}[0-9LMNPQRSTUVlmnpqrstuv]{2}[A-Ea-eHhLlMmPpR-Tr-t][0-9LMNPQRSTUVlmnpqrstuv]{2}"
                    r"[A-Za-z][0-9LMNPQRSTUVlmnpqrstuv]{3}[A-Za-z](?!\w)"), is_codice_fiscale, "high"),
    Rule("NATIONAL_ID", "us_ssn", re.compile(r"(?<![\w-])[0-9]{3}([- ])[0-9]{2}\1[0-9]{4}(?![\w-])"), is_ssn, "medium",
         cue("SSN", "social security(?: number| no)?")),
    Rule("NATIONAL_ID", "us_ssn", re.compile(r"(?<!\w)[0-9]{9}(?!\w)"), is_ssn, "low",
         cue("SSN", "social security(?: number| no)?"), needs_cue=True),
    Rule("NATIONAL_ID", "uk_nhs", re.compile(r"(?<!\w)[0-9]{3}([ -])[0-9]{3}\1[0-9]{4}(?!\w)"), is_nhs_number, "medium",
         cue("NHS(?: number| no)?")),
    Rule("NATIONAL_ID", "uk_nhs", re.compile(r"(?<!\w)[0-9]{10}(?!\w)"), is_nhs_number, "low",
         cue("NHS(?: number| no)?"), needs_cue=True),
    Rule("NATIONAL_ID", "es_dni", re.compile(r"(?<!\w)[0-9]{8}[- ]?[A-Za-z](?!\w)"), is_spanish_person, "high"),
    Rule("NATIONAL_ID", "es_nie", re.compile(r"(?<!\w)[XYZxyz][- ]?[0-9]{7}[- ]?[A-Za-z](?!\w)"), is_spanish_person,
         "high"),
    Rule("NATIONAL_ID", "fr_nir",
         re.compile(r"(?<!\w)[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}(?!\w)"), is_nir,
         "high"),
    Rule("NATIONAL_ID", "nl_bsn", re.compile(r"(?<!\w)[0-9]{9}(?!\w)"), is_bsn, "low",
         cue("BSN", "burgerservicenummer", "sofi-?nummer"), needs_cue=True),
    Rule("NATIONAL_ID", "pl_pesel", re.compile(r"(?<!\w)[0-9]{11}(?!\w)"), is_pesel, "medium", cue("PESEL")),
    Rule("NATIONAL_ID", "se_personnummer", re.compile(r"(?<!\w)(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}(?!\w)"),
         is_personnummer, "medium", cue("personnummer", "personal number")),
    Rule("NATIONAL_ID", "hr_oib", re.compile(r"(?<!\w)[0-9]{11}(?!\w)"), is_oib, "low", cue("OIB"), needs_cue=True),
)  # fmt: skip

_MONTHS = (
    "jan(?:uary|uar|uarja)?|feb(?:ruary|ruar|ruarja)?|mar(?:ch|ec|ca)?|märz|apr(?:il|ila)?|may|mai|maj(?:a)?|"
    "jun(?:e|i|ij|ija)?|jul(?:y|i|ij|ija)?|aug(?:ust)?|avg(?:ust|usta)?|sep(?:t|tember|tembra)?|oct(?:ober)?|"
    "okt(?:ober|obra)?|nov(?:ember|embra)?|dec(?:ember|embra)?|dez(?:ember)?"
)
_BIRTH = re.compile(
    r"(?<!\w)(?:born|date of birth|birth ?date|birthday|d\.?o\.?b\.?|rojen[aio]?|datum rojstva|rojstni datum|"
    r"geboren(?: am)?|geburtsdatum|née? le|date de naissance|nat[oa] il|data di nascita|nacid[oa] el|"
    r"fecha de nacimiento)(?!\w)[^0-9\n;!?]{0,25}?"
    r"(?P<value>(?P<y1>[12][0-9]{3})[-/.](?P<m1>[0-9]{1,2})[-/.](?P<d1>[0-9]{1,2})"
    r"|(?P<a>[0-9]{1,2})[-/.] ?(?P<b>[0-9]{1,2})[-/.] ?(?P<y2>[12][0-9]{3}|[0-9]{2})"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|\.)? (?:of )?(?:{_MONTHS})\.?,? [12][0-9]{{3}}"
    rf"|(?:{_MONTHS})\.? [0-9]{{1,2}}(?:st|nd|rd|th)?,? [12][0-9]{{3}})(?![0-9])",
    re.IGNORECASE,
)


def birth_dates(text: str) -> Iterator[Match]:
    """Dates that exist, within 25 characters after a word of birth (English, Slovene, German, French, Italian,
    Spanish).
    """
    for found in _BIRTH.finditer(text):
        if found["y1"] and not _is_day(int(found["y1"]), int(found["m1"]), int(found["d1"])):
            continue
        if found["a"]:
            one, other, year = int(found["a"]), int(found["b"]), int(found["y2"])
            if not (_is_day(max(year, 1), other, one) or _is_day(max(year, 1), one, other)):
                continue
        yield Match(*found.span("value"), "DATE_OF_BIRTH", "date_after_cue", "high")


FINDERS: tuple[Finder, ...] = (birth_dates, *(rule.find for rule in _RULES))
