"""Keys of programming interfaces, private keys, tokens and addresses of cryptocurrencies."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter

from Crypto.Hash import keccak

from omni.inference.language.pii.matches import Finder, Rule

MIN_ENTROPY_BITS = 3.5  # a character, of what stands behind `secret =`: words have less, random keys more
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def entropy_bits(text: str) -> float:
    """Shannon's entropy of the characters, bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def is_base58check(address: str) -> bool:
    """A Bitcoin address of version 0 or 5 with its checksum, the double SHA-256."""
    number = 0
    for letter in address:
        number = number * 58 + _BASE58.index(letter)
    if number >= 1 << 200:
        return False
    data = number.to_bytes(25, "big")
    zeros = len(address) - len(address.lstrip("1"))
    if data[0] not in (0, 5) or (data[0] == 0 and zeros != len(data) - len(data.lstrip(b"\0"))):
        return False
    return hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def is_bech32(address: str) -> bool:
    """A segregated-witness address of Bitcoin's main network: BIP 173 for version 0, BIP 350 above."""
    if address.lower() != address and address.upper() != address:
        return False
    values = [_BECH32.index(letter) for letter in address.lower()[3:]]
    check = 1
    for value in [3, 3, 0, 2, 3, *values]:  # the expanded prefix `bc`
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check == (1 if values[0] == 0 else 0x2BC830A3)


def is_eip55(address: str) -> bool:
    """An Ethereum address: letters of one case, or of both as EIP-55 says."""
    letters = address[2:]
    if letters in (letters.lower(), letters.upper()):
        return any(letter != letters[0] for letter in letters)
    digest = keccak.new(digest_bits=256, data=letters.lower().encode("ascii")).hexdigest()
    return all(
        not letter.isalpha() or letter.isupper() == (int(digit, 16) >= 8)
        for letter, digit in zip(letters, digest, strict=False)
    )


def _always(_: str) -> bool:
    return True


def _is_random(text: str) -> bool:
    return entropy_bits(text) >= MIN_ENTROPY_BITS and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


# Beginnings that the issuers document.
_PREFIXED = re.compile(
    r"(?<![\w-])(?:sk-(?:proj-|ant-|svcacct-)?[\w-]{20,200}|[sr]k_(?:live|test)_[0-9A-Za-z]{16,200}"
    r"|whsec_[0-9A-Za-z+/=]{24,100}|gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{50,255}|glpat-[\w-]{20,60}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|xox[abeoprs]-[0-9A-Za-z-]{10,250}|SG\.[\w-]{16,32}\.[\w-]{32,64}"
    r"|npm_[0-9A-Za-z]{36}|pypi-[\w-]{50,250}|hf_[0-9A-Za-z]{30,60}|omni_(?:live|test)_[\w-]{20,200}"
    r"|dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|AGE-SECRET-KEY-1[0-9A-Z]{58})(?![\w-])"
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,4000}\.eyJ[\w-]{4,8000}\.[\w-]{8,2000}(?![\w-])")
_PEM = re.compile(
    r"-----BEGIN (?P<kind>(?:[A-Z]{2,10} ){0,2})PRIVATE KEY-----[^-]{1,8000}-----END (?P=kind)PRIVATE KEY-----"
)
_NAMED = re.compile(
    r"(?<![A-Za-z0-9])(?:api[_ -]?key|apikey|secret(?:[_ -]?key)?|access[_ -]?key|auth[_ -]?token|access[_ -]?token|"
    r"token|client[_ -]?secret|bearer|password|passwd|pwd)[\"']?\s{0,3}(?:[:=]|\s|=>)\s{0,3}[\"']?"
    r"(?P<value>[\w+/=.~-]{16,512})",
    re.IGNORECASE,
)
_BASE58_ADDRESS = re.compile(rf"(?<!\w)[13][{_BASE58}]{{25,34}}(?!\w)")
_BECH32_ADDRESS = re.compile(rf"(?<!\w)(?:bc1[{_BECH32}]{{8,87}}|BC1[{_BECH32.upper()}]{{8,87}})(?!\w)")

_RULES = (
    Rule("API_KEY", "private_key", _PEM, _always, "high"),
    Rule("API_KEY", "known_prefix", _PREFIXED, lambda text: entropy_bits(text) >= 3, "high"),
    Rule("API_KEY", "jwt", _JWT, _always, "high"),
    Rule("API_KEY", "named_secret", _NAMED, _is_random, "medium"),
    Rule("CRYPTO_ADDRESS", "bitcoin_base58", _BASE58_ADDRESS, is_base58check, "high"),
    Rule("CRYPTO_ADDRESS", "bitcoin_bech32", _BECH32_ADDRESS, is_bech32, "high"),
    Rule("CRYPTO_ADDRESS", "ethereum", re.compile(r"(?<!\w)0x[0-9A-Fa-f]{40}(?!\w)"), is_eip55, "high"),
)

FINDERS: tuple[Finder, ...] = tuple(rule.find for rule in _RULES)
