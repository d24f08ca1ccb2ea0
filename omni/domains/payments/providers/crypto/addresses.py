"""Addresses of the EVM: their checksum, and deposit addresses from an extended public key."""

from __future__ import annotations

import hashlib
import hmac
import re

from coincurve import PublicKey
from Crypto.Hash import keccak

from omni.kit.errors import InvalidInput

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NOBODY = "0x" + "0" * 40
HIGHEST_INDEX = 2**31 - 1
"""Of the children that a public key can have (BIP-32: not hardened)."""
_BASE_58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PUBLIC = bytes.fromhex("0488b21e")
_KEY_BYTES, _CHECKSUM_BYTES = 78, 4


def keccak_256(data: bytes) -> bytes:
    """Ethereum's hash: Keccak with its padding of before SHA-3."""
    return keccak.new(digest_bits=256, data=data).digest()


def checksum_address(address: bytes) -> str:
    """The 20 bytes as text with the capitals of EIP-55."""
    digits = address.hex()
    nibbles = keccak_256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, nibbles, strict=False)
    )


def checked_address(text: str) -> str:
    """The address with its checksum. Raises InvalidInput `unpayable_address`.

    Refused are a wrong form, the zero address and, in mixed case, a wrong checksum: most likely a slip.
    """
    if not _ADDRESS.fullmatch(text) or text == _NOBODY:
        raise InvalidInput("unpayable_address", "An address is 0x and 40 hexadecimal digits, not all of them 0.")
    digits = text[2:]
    right = checksum_address(bytes.fromhex(digits))
    if digits not in (digits.lower(), digits.upper()) and text != right:
        raise InvalidInput("unpayable_address", "The capitals of the address do not fit it (EIP-55): copy it again.")
    return right


class DepositAddresses:
    """The addresses below an account's extended public key (BIP-32, BIP-44): `m/44'/60'/0'/0/index` of its wallet.

    The key is that of the external chain, so that index n here is the wallet's n-th receiving address. Raises
    ValueError for what is no extended public key; a private one is refused, since it must not be on a server.
    """

    def __init__(self, xpub: str) -> None:
        if xpub[1:4] == "prv":
            raise ValueError("this is a private key, with which one can spend: configure the public one, xpub…")
        payload = _decoded(xpub)
        self._chain_code = payload[13:45]
        try:
            self._key = PublicKey(payload[45:])
        except ValueError:
            raise _no_public_key() from None

    def address(self, index: int) -> str:
        """The address of one index (BIP-32, CKDpub), with its checksum. Raises ValueError for an index without one."""
        if not 0 <= index <= HIGHEST_INDEX:
            raise ValueError(f"there is no address {index}: indices go from 0 to {HIGHEST_INDEX}")
        tweak = hmac.digest(self._chain_code, self._key.format() + index.to_bytes(4), "sha512")[:32]
        point = self._key.add(tweak).format(compressed=False)[1:]
        return checksum_address(keccak_256(point)[12:])


def _decoded(xpub: str) -> bytes:
    """The 78 bytes of an extended public key, in base 58 with a checksum."""
    if not xpub.startswith("xpub") or any(character not in _BASE_58 for character in xpub) or len(xpub) > 120:
        raise _no_public_key()
    number = 0
    for character in xpub:
        number = number * 58 + _BASE_58.index(character)
    try:
        decoded = number.to_bytes(_KEY_BYTES + _CHECKSUM_BYTES)
    except OverflowError:
        raise _no_public_key() from None
    payload, checksum = decoded[:_KEY_BYTES], decoded[_KEY_BYTES:]
    right = hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:_CHECKSUM_BYTES]
    if checksum != right or not payload.startswith(_PUBLIC):
        raise _no_public_key()
    return payload


def _no_public_key() -> ValueError:
    return ValueError("no extended public key: it starts with xpub and has a checksum (BIP-32)")
