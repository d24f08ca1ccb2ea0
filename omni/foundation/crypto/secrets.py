"""The master key and what is derived from it (HKDF-SHA256, RFC 5869)."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


class InvalidMasterKey(ValueError):
    """The master key is not 32 bytes in base64."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """32 bytes from which every other key of the installation is derived. Losing it loses all encrypted values."""

    material: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"omni:" + purpose.encode()).derive(self.material)

    def key_id(self) -> str:
        """A short public name of this key."""
        return hashlib.sha256(self.derive("key-id")).hexdigest()[:16]

    @classmethod
    def from_base64(cls, text: str) -> MasterKey:
        """Raises InvalidMasterKey."""
        try:
            material = b64decode(text, validate=True)
        except ValueError:
            material = b""
        if len(material) != KEY_BYTES:
            raise InvalidMasterKey("the master key must be 32 bytes in base64; make one with: openssl rand -base64 32")
        return cls(material)

    @classmethod
    def load_or_create(cls, path: Path) -> MasterKey:
        """The key in a file (mode 0600), made with the first call. Raises InvalidMasterKey, OSError."""
        try:
            return cls.from_base64(path.read_text("ascii").strip())
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = os.urandom(KEY_BYTES)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(b64encode(fresh).decode() + "\n")
                file.flush()
                os.fsync(file.fileno())
            return cls(fresh)
