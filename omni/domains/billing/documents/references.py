"""Payment references and account numbers with their check digits, and the payment code for banking apps."""

from __future__ import annotations

import re
from decimal import Decimal

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?")
_CREDITOR_REFERENCE = re.compile(r"RF[0-9]{2}[A-Z0-9]{1,21}")
_SI00 = re.compile(r"SI00(?=[0-9-]{1,22}$)[0-9]{1,20}(-[0-9]{1,20}){0,2}")

EPC_MAX_MINOR = 99_999_999_999
"""The highest amount of a SEPA credit transfer, in cents."""


def compact(text: str) -> str:
    """Without the spaces that group an account number or a reference for people."""
    return "".join(text.split()).upper()


def creditor_reference(content: str) -> str:
    """The RF creditor reference of up to 21 letters and digits, by ISO 11649: check digits by ISO 7064 mod 97-10.

    Characters that a reference cannot hold, such as hyphens of an invoice number, are left out. Raises ValueError
    where nothing or too much remains.
    """
    body = re.sub(r"[^A-Z0-9]", "", content.upper())
    if not 1 <= len(body) <= 21:
        raise ValueError(f"a creditor reference holds 1 to 21 letters and digits; {content!r} has {len(body)}")
    return f"RF{98 - _mod_97(body + 'RF00'):02}{body}"


def slovenian_reference(content: str) -> str:
    """The reference SI00 of up to 20 digits in up to three parts with hyphens, as Slovenian banks take it.

    The model 00 has no check digits. Raises ValueError for content that it cannot hold.
    """
    reference = f"SI00{content}"
    if not is_slovenian_reference(reference):
        raise ValueError(f"a reference SI00 holds up to 20 digits in up to three parts with hyphens, not {content!r}")
    return f"SI00 {content}"


def is_creditor_reference(text: str) -> bool:
    """Whether the text is an ISO 11649 reference with right check digits."""
    reference = compact(text)
    return bool(_CREDITOR_REFERENCE.fullmatch(reference)) and _mod_97(reference[4:] + reference[:4]) == 1


def is_slovenian_reference(text: str) -> bool:
    """Whether the text is a reference of the model SI00."""
    reference = compact(text)
    return bool(_SI00.fullmatch(reference)) and sum(character.isdigit() for character in reference[4:]) <= 20


def is_iban(text: str) -> bool:
    """Whether the text is an account number with right check digits (ISO 13616)."""
    iban = compact(text)
    return bool(_IBAN.fullmatch(iban)) and _mod_97(iban[4:] + iban[:4]) == 1


def is_bic(text: str) -> bool:
    """Whether the text has the form of a bank's code (ISO 9362)."""
    return bool(_BIC.fullmatch(compact(text)))


def epc_payload(name: str, iban: str, bic: str, amount_minor: int, reference: str) -> str:
    """What the payment code of a SEPA credit transfer in EUR holds, by EPC069-12 version 2 (quick response code).

    A creditor reference is structured remittance information; every other reference is free text. Raises ValueError
    for an amount that no SEPA transfer can have.
    """
    if not 1 <= amount_minor <= EPC_MAX_MINOR:
        raise ValueError(f"a SEPA transfer cannot move {amount_minor} cents")
    amount = f"EUR{Decimal(amount_minor).scaleb(-2):.2f}"
    structured = compact(reference) if is_creditor_reference(reference) else ""
    free = "" if structured else reference[:140]
    lines = ("BCD", "002", "1", "SCT", compact(bic), name[:70], compact(iban), amount, "", structured, free)
    return "\n".join(lines).rstrip("\n")


def _mod_97(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97
