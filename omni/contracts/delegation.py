"""For whom our own processes call the gateway: the key that asked for something, and under which request id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from omni.contracts import signed
from omni.contracts.quotes import Terms, from_row, to_row

DELEGATION_HEADER = "omni-delegation"
_KIND = b"delegation."


class InvalidDelegation(Exception):
    """The delegation was not signed with our key, or is out of date."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """One request that the gateway serves as if the key had made it: at the usual prices, at those of a batch, or
    on the terms of a quote."""

    key_digest: str
    """SHA-256 of the key, hex: under which its snapshot is found. A key that was revoked meanwhile opens nothing."""
    request_id: UUID
    """Of the request and its usage event: repeated after a crash, it is billed once."""
    expires_at_micros: int
    terms: Terms | None = None
    """What a slice of a job may use, at which prices; None = it is no slice."""
    in_batch: bool = False

    def sign(self, secret: bytes) -> str:
        """The header's value."""
        row: dict[str, Any] = {
            "key_digest": self.key_digest,
            "request_id": self.request_id,
            "expires_at_micros": self.expires_at_micros,
            "terms": None if self.terms is None else to_row(self.terms),
            "in_batch": self.in_batch,
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
        terms = row.get("terms")
        return cls(
            row["key_digest"],
            UUID(row["request_id"]),
            row["expires_at_micros"],
            None if terms is None else from_row(terms),
            row["in_batch"],
        )
