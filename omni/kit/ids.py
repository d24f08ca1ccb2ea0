"""Identifiers: UUIDv7 for rows and requests, random base62 secrets with a checksum for credentials."""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from datetime import UTC, datetime
from random import getrandbits
from time import time_ns
from typing import Final
from uuid import UUID

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_CHARS = 30  # 30 × log2(62) ≈ 178 random bits
_HEX: Final = "0123456789abcdef"
CHECKSUM_CHARS = 6  # a CRC-32 fits into six base62 digits


def uuid7() -> UUID:
    """A time-ordered UUID: 48 bits of Unix milliseconds, 12 of sub-millisecond time, 62 random ones.

    RFC 9562 §6.2, method 3.
    """
    nanos = time_ns()
    millis, rest = divmod(nanos, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    value = millis << 80 | 0x7000 << 64 | fraction << 64 | 0x8000 << 48 | int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=value)


def derived_uuid7(millis: int, seed: bytes) -> UUID:
    """A UUIDv7 of that Unix millisecond, the same for the same seed: RFC 9562 leaves its other bits free, and here they
    are of the SHA-256 of `seed`."""
    noise = int.from_bytes(hashlib.sha256(seed).digest()[:10], "big")
    value = millis << 80 | noise & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


class _Millisecond:
    """One of Unix time, and how UUIDs of it begin."""

    def __init__(self) -> None:
        self.begins = (-1, "")


_latest: Final = _Millisecond()


def uuid7_text() -> str:
    """As `uuid7`, written out, for where many are made: not for what nobody may guess."""
    nanos = time_ns()
    millis = nanos // 1_000_000
    of, text = _latest.begins
    if of != millis:
        text = f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7"
        _latest.begins = (millis, text)
    fraction = (nanos % 1_000_000 << 12) // 1_000_000
    noise = getrandbits(64).to_bytes(8, "big")
    digits = noise.hex()
    return (
        f"{text}{_HEX[fraction >> 8]}{_HEX[fraction >> 4 & 15]}{_HEX[fraction & 15]}"
        f"-{_HEX[8 | noise[0] & 3]}{digits[1:4]}-{digits[4:]}"
    )


def uuid7_time(value: UUID) -> datetime:
    """When a UUIDv7 was minted, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)


def uuid7_floor(moment: datetime) -> UUID:
    """The smallest UUIDv7 of that millisecond: every id minted at or after `moment` is ≥ it."""
    millis = int(moment.timestamp() * 1000)
    return UUID(int=millis << 80 | 0x7000 << 64 | 0x8000 << 48)


def prefixed_id(prefix: str, value: UUID) -> str:
    """An id as clients of OpenAI's API know them: a word and 32 hex digits."""
    return prefix + value.hex


def from_prefixed_id(prefix: str, text: str) -> UUID | None:
    """What `prefixed_id` was given; None for what can be no such id."""
    digits = text.removeprefix(prefix)
    if len(digits) != 32 or not text.startswith(prefix):
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None


def base62(number: int, width: int) -> str:
    """`number` in base 62, padded with zeros to `width` digits."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    if number:
        raise ValueError("number does not fit the width")
    return "".join(reversed(digits))


def mint_secret(prefix: str) -> str:
    """A new credential: `prefix`, 30 random base62 characters (≈ 178 bits), 6 of CRC-32 over all before them."""
    body = prefix + "".join(secrets.choice(BASE62) for _ in range(SECRET_CHARS))
    return body + checksum(body)


def checksum(body: str) -> str:
    """The six base62 digits of the CRC-32 of `body`."""
    return base62(zlib.crc32(body.encode("ascii")), CHECKSUM_CHARS)


def is_well_formed(secret: str, prefixes: tuple[str, ...]) -> bool:
    """Whether prefix, length and checksum are right. Proves nothing, but saves the look-up of junk."""
    if not secret.isascii() or not secret.startswith(prefixes):
        return False
    prefix = next(p for p in prefixes if secret.startswith(p))
    if len(secret) != len(prefix) + SECRET_CHARS + CHECKSUM_CHARS:
        return False
    return checksum(secret[:-CHECKSUM_CHARS]) == secret[-CHECKSUM_CHARS:]
