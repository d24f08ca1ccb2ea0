"""For whom the worker calls the gateway: the key that asked for a batch, and under which request id."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from omni.contracts import signed

DELEGATION_HEADER = "omni-delegation"
_KIND = b"delegation."


class InvalidDelegation(Exception):
    """The delegation was not signed with our key, or is out of date."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """One request that the gateway serves as if the key had made it, at the prices of a batch."""

    key_digest: str
    """SHA-256 of the key, hex: under which its snapshot is found. A key that was revoked meanwhile opens nothing."""
    request_id: UUID
    """Of the request and its usage event: repeated after a crash, it is billed once."""
    expires_at_micros: int

    def sign(self, secret: bytes) -> str:
        """The header's value."""
        row = {
            "key_digest": self.key_digest,
            "request_id": self.request_id,
            "expires_at_micros": self.expires_at_micros,
        }
        return signed.sign(_KIND, row, secret)

    @classmethod
    def verify(cls, value: str, secret: bytes, now_micros: int) -> Delegation:
        """The delegation of a header value. Raises InvalidDelegation."""
        try:
            row = signed.verify(_KIND, value, secret)
        except signed.InvalidSignature as error:
            raise InvalidDelegation("signature does not match") from error
        if now_micros > row["expires_at_micros"]:
            raise InvalidDelegation("it is out of date")
        return cls(row["key_digest"], UUID(row["request_id"]), row["expires_at_micros"])
