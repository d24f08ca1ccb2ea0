"""Tokens that name a row and prove that we made them, so that nothing secret is stored: `prefix_<id>…_<MAC>`."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from omni.kit.ids import base62

MAC_BYTES = 20
MAC_CHARS = 27  # 160 bits fit into 27 base62 digits
_ID_CHARS = 32


def mint_token(secret: bytes, prefix: str, *ids: UUID) -> str:
    """`prefix`, the ids as hex, and 160 bits of HMAC-SHA256 over both in base62, joined by underscores."""
    body = prefix + "_".join(value.hex for value in ids)
    return f"{body}_{_mac(secret, body)}"


def read_token(secret: bytes, prefix: str, token: str, count: int) -> tuple[UUID, ...] | None:
    """The `count` ids of a token that `mint_token` made with this secret and prefix, else None."""
    body, _, mac = token.rpartition("_")
    if not token.isascii() or not hmac.compare_digest(mac, _mac(secret, body)) or not body.startswith(prefix):
        return None
    parts = body.removeprefix(prefix).split("_")
    if len(parts) != count or any(len(part) != _ID_CHARS for part in parts):
        return None
    return tuple(UUID(part) for part in parts)


def _mac(secret: bytes, body: str) -> str:
    digest = hmac.digest(secret, body.encode("ascii"), hashlib.sha256)
    return base62(int.from_bytes(digest[:MAC_BYTES], "big"), MAC_CHARS)
