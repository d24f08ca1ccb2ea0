"""WebSocket frames (RFC 6455), read as they pass: each is checked, none is kept but what somebody looks at."""

from __future__ import annotations

import os
from collections.abc import Callable

from omni.contracts.endpoints import MIB

_CONTINUATION, TEXT, BINARY, CLOSE, PING, _PONG = 0, 1, 2, 8, 9, 10
_OPCODES = frozenset((_CONTINUATION, TEXT, BINARY, CLOSE, PING, _PONG))
_CONTROL_LIMIT_BYTES = 125
LOOKED_AT_BYTES = MIB
"""Text messages up to this size are looked at; longer ones only pass."""


class BadFrame(Exception):
    """Bytes that are no WebSocket frame, or none that may come now; the text is for the log."""


class FrameReader:
    """Walks over the bytes of one direction."""

    def __init__(self, *, masked: bool, on_text: Callable[[bytes], None] | None = None) -> None:
        self._masked = masked
        self._on_text = on_text
        self._head = bytearray()
        self._left = 0
        self._opcode = 0
        self._final = False
        self._in_message = False
        self._keeps = False
        self._kept = bytearray()
        self.moved = 0
        """Grows with all that passes but control frames."""
        self.last_end = 0
        """Where, within what was fed last, a frame ended last; 0 = none did."""
        self.closed = False
        """Whether a close frame has passed: nothing comes after it."""

    @property
    def at_boundary(self) -> bool:
        """Whether a whole frame has just passed, so that another one may be put in."""
        return not self._left and not self._head

    def feed(self, data: bytes) -> int:
        """How many of these bytes may pass: all, or those up to the end of a close frame. Raises BadFrame."""
        position, size = 0, len(data)
        self.last_end = 0
        while position < size and not self.closed:
            if self._left:
                taken = min(self._left, size - position)
                self._payload(data, position, position + taken)
                self._left -= taken
                position += taken
            else:
                self._head.append(data[position])
                position += 1
                if len(self._head) < 2 or len(self._head) < self._head_size():
                    continue
                self._begin()
            if not self._left:
                self._end()
                self.last_end = position
        return position

    def _head_size(self) -> int:
        length = self._head[1] & 0x7F
        return 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if self._head[1] & 0x80 else 0)

    def _begin(self) -> None:
        head = self._head
        first, length = head[0], head[1] & 0x7F
        opcode = first & 0x0F
        self._final = bool(first & 0x80)
        if first & 0x70 or opcode not in _OPCODES:
            raise BadFrame(f"first byte {first:#x}")
        if bool(head[1] & 0x80) != self._masked:
            raise BadFrame("masked" if not self._masked else "not masked")
        if length >= 126:
            least = 126 if length == 126 else 1 << 16
            length = int.from_bytes(head[2 : 4 if length == 126 else 10], "big")
            if not least <= length < 1 << 63:
                raise BadFrame("length")
        if opcode >= CLOSE:
            if not self._final or length > _CONTROL_LIMIT_BYTES:
                raise BadFrame("control frame")
        elif (opcode == _CONTINUATION) != self._in_message:
            raise BadFrame("fragments")
        else:
            self._begin_data(opcode)
        self._opcode, self._left = opcode, length
        head.clear()

    def _begin_data(self, opcode: int) -> None:
        if opcode != _CONTINUATION:
            self._keeps = opcode == TEXT and self._on_text is not None
            self._kept.clear()
        self._in_message = not self._final
        self.moved += 1

    def _payload(self, data: bytes, start: int, end: int) -> None:
        if self._opcode >= CLOSE:
            return
        self.moved += end - start
        if not self._keeps:
            return
        if len(self._kept) + end - start > LOOKED_AT_BYTES:
            self._keeps = False
            self._kept = bytearray()
        else:
            self._kept += data[start:end]

    def _end(self) -> None:
        if self._opcode == CLOSE:
            self.closed = True
        elif self._opcode < CLOSE and self._final and self._keeps and self._on_text is not None:
            self._keeps = False
            message = bytes(self._kept)
            self._kept.clear()
            self._on_text(message)


def control_frame(opcode: int, payload: bytes = b"", *, masked: bool) -> bytes:
    """A frame of our own; masked as those to a server have to be."""
    if not masked:
        return bytes((0x80 | opcode, len(payload))) + payload
    mask = os.urandom(4)
    hidden = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes((0x80 | opcode, 0x80 | len(payload))) + mask + hidden


def close_frame(code: int, reason: str, *, masked: bool) -> bytes:
    """`reason` is short ASCII."""
    return control_frame(CLOSE, code.to_bytes(2, "big") + reason.encode("ascii"), masked=masked)
