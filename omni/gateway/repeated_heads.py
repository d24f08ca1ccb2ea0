"""Heads of HTTP messages that come again, the same but for the length of the body: one that was read and accepted
before need not be read again."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)(?=\r\n)", re.IGNORECASE)
_LENGTH_DIGITS = 12
_HEAD_MOST_BYTES = 4_096


class RepeatedHead:
    """The bytes of a head before and after the digits of its content-length."""

    __slots__ = ("after", "before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before = before
        self.after = after

    def body_in(self, data: bytes, most_bytes: int) -> bytes | None:
        """The body, where `data` is one whole message with this head and nothing else; None for one that is longer."""
        if not data.startswith(self.before):
            return None
        start, after = len(self.before), self.after
        end = data.find(b"\r", start, start + _LENGTH_DIGITS)
        if not data.startswith(after, end):
            return None
        body_at, digits = end + len(after), data[start:end]
        size = len(data) - body_at
        if not digits.isdigit() or int(digits) != size or size > most_bytes:
            return None
        return data[body_at:]


def around_length(data: bytes, body_bytes: int) -> tuple[bytes, bytes] | None:
    """What a RepeatedHead is made of, where `data` is one whole message whose body has this size. None for a head that
    is long, or says its length not once."""
    end = data.find(b"\r\n\r\n") + 4
    lengths = list(_LENGTH.finditer(data, 0, end - 2))
    if len(lengths) != 1 or end > _HEAD_MOST_BYTES or len(data) - end != body_bytes:
        return None
    start, stop = lengths[0].span(1)
    return data[:start], data[stop:end]
