"""Heads of answers that a server repeats, as engines of one's own do: nothing in them changes but the length of the
body, and once a second the date."""

from __future__ import annotations

from omni.gateway.repeated_heads import RepeatedHead, around_length

_UNLIKE_MOST = 32
"""So many heads are learned between two sweeps: where they differ each time, it is not worth it."""


class KnownAnswer(RepeatedHead):
    """The head of an answer with status 200 after which the connection goes on, and what was read from it."""

    __slots__ = ("content_type", "headers")

    def __init__(self, before: bytes, after: bytes, headers: list[tuple[bytes, bytes]], content_type: bytes) -> None:
        super().__init__(before, after)
        self.headers = headers
        self.content_type = content_type


class KnownAnswers:
    """The last head of a server; its connections share it."""

    def __init__(self) -> None:
        self.head: KnownAnswer | None = None
        self._learned = 0

    def learn(self, data: bytes, body_bytes: int, headers: list[tuple[bytes, bytes]], content_type: bytes) -> None:
        """Takes the head of an answer that came whole, in `data` and alone. `headers` stay as they are."""
        if self._learned < _UNLIKE_MOST:
            self._learned += 1
            parts = around_length(data, body_bytes)
            if parts is not None:
                self.head = KnownAnswer(*parts, headers, content_type)

    def sweep(self) -> None:
        """Called a few times a second."""
        self._learned = 0
