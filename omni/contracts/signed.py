"""Small records that one of our processes signs for another: base64url JSON, a dot, base64url HMAC-SHA256."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import orjson


class InvalidSignature(Exception):
    """The record was not signed with our key, or as another kind of record."""


def sign(kind: bytes, row: dict[str, Any], secret: bytes) -> str:
    """What goes into a header. The kind is signed along, so that no record passes for one of another kind."""
    body = urlsafe_b64encode(orjson.dumps(row))
    return (body + b"." + _signature(kind, body, secret)).decode("ascii")


def verify(kind: bytes, value: str, secret: bytes) -> dict[str, Any]:
    """The record. Raises InvalidSignature."""
    body, _, signature = value.encode("ascii", "replace").partition(b".")
    if not hmac.compare_digest(signature, _signature(kind, body, secret)):
        raise InvalidSignature
    row: dict[str, Any] = orjson.loads(urlsafe_b64decode(body))
    return row


def _signature(kind: bytes, body: bytes, secret: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(secret, kind + body, hashlib.sha256))
