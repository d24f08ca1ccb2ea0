"""A stored answer: whole, in the client's own format, with when it was stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import orjson

from omni.kit.clock import unix_micros


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer of status 200."""

    content_type: bytes
    body: bytes
    stored_at_micros: int

    @property
    def age_seconds(self) -> int:
        return max(0, (unix_micros() - self.stored_at_micros) // 1_000_000)

    def pack(self) -> bytes:
        """One line about the answer, then the answer."""
        head = {"content_type": self.content_type.decode("latin-1"), "stored_at_micros": self.stored_at_micros}
        return orjson.dumps(head) + b"\n" + self.body

    @classmethod
    def unpack(cls, data: bytes) -> Entry:
        """What `pack` made. Raises ValueError or KeyError."""
        line, _, body = data.partition(b"\n")
        head = orjson.loads(line)
        return cls(head["content_type"].encode("latin-1"), body, head["stored_at_micros"])


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry, and how it was found: by the same request, or by one that means the same."""

    kind: Literal["exact", "semantic"]
    entry: Entry
