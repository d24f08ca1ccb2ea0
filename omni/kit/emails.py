"""E-mail addresses in one form, so that equal ones compare equal."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets
_ADDRESS = re.compile(
    r"[^@\s\x00-\x1f\x7f<>\"(),:;\\\[\]]{1,64}@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)


def normalise_email(text: str) -> str:
    """The address in NFC and lower case, its domain in ASCII. Raises ValueError when it cannot be an address.

    Names without a dot and reserved names (`localhost`, `corp.local`) are fine: the platform may run inside a company.
    Whether anyone reads the mail is found out by sending some.
    """
    local, separator, domain = unicodedata.normalize("NFC", text.strip()).lower().rpartition("@")
    if domain and not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            domain = ""
    address = local + separator + domain
    if len(address) > MAX_CHARS or not _ADDRESS.fullmatch(address):
        raise ValueError("not an e-mail address")
    return address
