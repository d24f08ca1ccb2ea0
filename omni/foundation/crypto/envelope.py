"""Envelope encryption: values under a data key, the data key wrapped under a key-encryption key.

AES-256-GCM. The associated data name the place that a value belongs to (tenant, table, column, row), so a ciphertext
that is moved elsewhere does not open. A wrapped data key names the key that wraps it: rotating that one re-wraps data
keys and rewrites no value.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from uuid import UUID

from omni.foundation.crypto.secrets import KEY_BYTES, MasterKey
from omni.kit.sealing import DecryptionFailed, seal, unseal


@dataclass(frozen=True, slots=True)
class Place:
    """Where an encrypted value lives; None as tenant = it belongs to the platform."""

    tenant_id: UUID | None
    table: str
    column: str
    row: str

    def associated_data(self) -> bytes:
        return "\x1f".join((str(self.tenant_id or "-"), self.table, self.column, self.row)).encode()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored."""

    key_id: str
    """Name of the master key that wraps it."""
    wrapped: bytes


class Envelope:
    """Makes, opens and re-wraps data keys, and encrypts values with them."""

    def __init__(self, current: MasterKey, previous: MasterKey | None = None) -> None:
        self._current_id = current.key_id()
        self._wrapping_keys = {key.key_id(): key.derive("data-key-wrapping") for key in (current, previous) if key}

    def new_data_key(self, owner: str) -> WrappedKey:
        """A fresh data key for `owner` (a tenant's id, or `platform`)."""
        return self._wrap(os.urandom(KEY_BYTES), owner)

    def rewrap(self, key: WrappedKey, owner: str) -> WrappedKey:
        """The same data key under the current master key. Raises DecryptionFailed."""
        return self._wrap(self._unwrap(key, owner), owner)

    def encrypt(self, key: WrappedKey, plaintext: bytes, place: Place) -> bytes:
        """Raises DecryptionFailed when the data key does not open."""
        return seal(self._unwrap(key, self._owner(place)), plaintext, place.associated_data())

    def decrypt(self, key: WrappedKey, sealed: bytes, place: Place) -> bytes:
        """Raises DecryptionFailed."""
        return unseal(self._unwrap(key, self._owner(place)), sealed, place.associated_data())

    @staticmethod
    def _owner(place: Place) -> str:
        return str(place.tenant_id) if place.tenant_id else "platform"

    def _wrap(self, material: bytes, owner: str) -> WrappedKey:
        wrapped = seal(self._wrapping_keys[self._current_id], material, owner.encode())
        return WrappedKey(self._current_id, wrapped)

    def _unwrap(self, key: WrappedKey, owner: str) -> bytes:
        wrapping_key = self._wrapping_keys.get(key.key_id)
        if wrapping_key is None:
            raise DecryptionFailed(f"wrapped by master key {key.key_id}, which is not configured")
        return unseal(wrapping_key, key.wrapped, owner.encode())
