"""Addresses: e-mail, IP, MAC, and URLs with a password inside."""

from __future__ import annotations

import ipaddress
import re

from omni.inference.language.pii.matches import Finder, Rule

_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(
    rf"(?<![\w.%+'-])[^\W_](?:[\w.%+'-]{{0,62}}[\w%+'-])?@(?:{_LABEL}\.){{1,8}}[^\W\d_]{{2,24}}(?![\w@-])"
)
_URL = re.compile(
    r"(?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://"
    r"(?P<value>[^\s/@:?#]{1,256}:[^\s/@?#]{1,256}@(?:[\w.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\]))"
)


def _always(_: str) -> bool:
    return True


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    if text.count(":") < 2 or not any(map(str.isdigit, text)):
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_email(text: str) -> bool:
    return ".." not in text


_IPV4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:(?<=:)[0-9.]{7,15})?(?![\w:]|\.[0-9])")
_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
_MAC_DOTTED = re.compile(r"(?<![\w.])[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}(?![\w.])")

_RULES = (
    Rule("EMAIL", "email", _EMAIL, _is_email, "high"),
    Rule("URL_CREDENTIALS", "url_credentials", _URL, _always, "high"),
    Rule("IP_ADDRESS", "ipv4", _IPV4, _is_ipv4, "medium"),
    Rule("IP_ADDRESS", "ipv6", _IPV6, _is_ipv6, "high"),
    Rule("MAC_ADDRESS", "mac", _MAC, _always, "high"),
    Rule("MAC_ADDRESS", "mac_dotted", _MAC_DOTTED, _always, "medium"),
)

FINDERS: tuple[Finder, ...] = tuple(rule.find for rule in _RULES)
