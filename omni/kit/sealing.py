"""Values that only the holder of a key can read or change: AES-256-GCM, bound to the place that they belong to."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
VERSION = b"\x01"


class DecryptionFailed(Exception):
    """The ciphertext was changed, moved to another place, or made with another key."""


def seal(key: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """version ‖ nonce ‖ ciphertext and tag. `key` has 32 bytes."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, associated_data)


def unseal(key: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    """The plaintext of what `seal` made. Raises DecryptionFailed."""
    if sealed[:1] != VERSION:
        raise DecryptionFailed("unknown version of the encryption format")
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, associated_data)
    except InvalidTag:
        raise DecryptionFailed("the value was changed, moved or made with another key") from None


def credential_place(owner: str, provider: str) -> bytes:
    """Associated data of a provider key on its way to the gateways; `owner` is a tenant's id or `platform`."""
    return f"credential\x1f{owner}\x1f{provider}".encode()
