"""Heads of HTTP messages that come again, the same but for the length of the body: one that was read and accepted
before need not be read again."""

from __future__ import annotations

import re
from typing import Final

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)(?=\r\n)", re.IGNORECASE)
_LENGTH_DIGITS: Final = 12
_ZERO: Final = 0x30
_NINE: Final = 0x39
_END_OF_LINE: Final = 0x0D
_HEAD_MOST_BYTES = 4_096


class RepeatedHead:
    """The bytes of a head before and after the digits of its content-length."""

    __slots__ = ("after", "before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before = before
        self.after = after

    def body_in(self, data: bytes, most_bytes: int) -> bytes | None:
        """The body, where `data` is one whole message with this head and nothing else; None for one that is longer."""
        before, after = self.before, self.after
        if not data.startswith(before):
            return None
        at = digits_at = len(before)
        most, size = min(at + _LENGTH_DIGITS, len(data)), 0
        while at < most and (digit := data[at]) != _END_OF_LINE:
            if not _ZERO <= digit <= _NINE:
                return None
            size = 10 * size + digit - _ZERO
            at += 1
        body_at = at + len(after)
        if at == digits_at or size > most_bytes or len(data) - body_at != size or data[at:body_at] != after:
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
