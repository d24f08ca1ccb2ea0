"""Small pieces of what is written."""

from __future__ import annotations

import hashlib
import json


def as_json(value: object) -> bytes:
    """The same text for the same value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def sha256(content: bytes) -> str:
    """Hex."""
    return hashlib.sha256(content).hexdigest()
