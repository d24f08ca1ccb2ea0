"""Ids of predictions: what feedback is given on, without a row for each prediction.

They say which version answered, and are signed, so that nobody can praise a version that never answered.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from uuid import UUID

from omni.inference.deployments.rules import Role

PREFIX = "pred-"
_BODY = struct.Struct(">16sIBI")
_ROLES: tuple[Role, ...] = ("live", "canary")
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer that a version gave under a revision."""

    request_id: UUID
    number: int
    role: Role
    revision: int


class PredictionIds:
    """Makes ids and reads them."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"deployment feedback", hashlib.sha256)

    def make(self, tenant_id: UUID, deployment_id: UUID, prediction: Prediction) -> str:
        role = _ROLES.index(prediction.role)
        body = _BODY.pack(prediction.request_id.bytes, prediction.number, role, prediction.revision)
        return PREFIX + (body + self._mac(tenant_id, deployment_id, body)).hex()

    def read(self, tenant_id: UUID, deployment_id: UUID, text: str) -> Prediction | None:
        """None for what is no id of a prediction of this deployment."""
        try:
            data = bytes.fromhex(text.removeprefix(PREFIX))
        except ValueError:
            return None
        body, mac = data[: _BODY.size], data[_BODY.size :]
        if not text.startswith(PREFIX) or len(mac) != _MAC_BYTES:
            return None
        if not hmac.compare_digest(mac, self._mac(tenant_id, deployment_id, body)):
            return None
        request_id, number, role, revision = _BODY.unpack(body)
        return Prediction(UUID(bytes=request_id), number, _ROLES[role], revision)

    def _mac(self, tenant_id: UUID, deployment_id: UUID, body: bytes) -> bytes:
        return hmac.digest(self._key, tenant_id.bytes + deployment_id.bytes + body, hashlib.sha256)[:_MAC_BYTES]
