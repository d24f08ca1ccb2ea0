"""Server-sent events, as bytes come in and go out (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from omni.contracts.wire import BadAnswer

EVENT_LIMIT_BYTES = 1024 * 1024
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Event(NamedTuple):
    """One event. `name` is empty for the default `message`."""

    name: bytes
    data: bytes


class SseParser:
    """Cuts a stream into events. Holds no more than one unfinished event, of at most EVENT_LIMIT_BYTES."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises BadAnswer for one that is too long."""
        blocks = self.blocks(data)
        return [event for block in blocks if (event := read_event(block)) is not None]

    def only_object(self, data: bytes) -> dict[str, Any] | None:
        """What the event says that these bytes are, as most come. None = they have to be read by `blocks`. Raises
        BadAnswer for what is no JSON."""
        return None if self._rest else object_in(data)

    def blocks(self, data: bytes) -> list[bytes]:
        """The raw events, each with the blank line that ends it. Raises BadAnswer."""
        data = self._rest + data
        found: list[bytes] = []
        start = 0
        if b"\r" not in data:
            while (end := data.find(b"\n\n", start)) >= 0:
                found.append(data[start : end + 2])
                start = end + 2
        else:
            for match in _END.finditer(data):
                found.append(data[start : match.end()])
                start = match.end()
        self._rest = data[start:]
        if len(self._rest) > EVENT_LIMIT_BYTES:
            raise BadAnswer(f"an event of more than {EVENT_LIMIT_BYTES} bytes")
        return found

    def end(self) -> bytes:
        """What came after the last complete event."""
        rest, self._rest = self._rest, b""
        return rest


def object_in(block: bytes) -> dict[str, Any] | None:
    """What one event says that is like most: without a name, whole, a JSON object on one line. None = it is not like
    that. Raises BadAnswer for what is no JSON."""
    if not block.startswith(b"data: {") or not block.endswith(b"\n\n"):
        return None
    if block.find(b"\n") != len(block) - 2 or b"\r" in block:
        return None
    row: dict[str, Any] = read_json(block[6:])  # JSON may end in blank lines
    return row


def read_json(data: bytes) -> Any:
    """What an event says. Raises BadAnswer for what is no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"an event that is no JSON: {error}") from None


def read_event(block: bytes) -> Event | None:
    """The event in a block; None for comments and blank lines."""
    if block.startswith(b"data: ") and block.find(b"\n") == len(block) - 2:
        return Event(b"", block[6:-2])
    name, parts = b"", []
    for line in block.removeprefix(b"\xef\xbb\xbf").splitlines():
        if line.startswith(b"data:"):
            parts.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].strip()
    return Event(name, b"\n".join(parts)) if parts else None


def sse_event(data: bytes, name: bytes = b"") -> bytes:
    """One event on its way out; `data` has no line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name, data) if name else b"data: %b\n\n" % data
