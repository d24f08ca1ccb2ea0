"""Messages between the backend and a model's process: a JSON header and raw bytes, both of bounded length.

A frame is the header's length (4 bytes, big-endian), the payload's (8 bytes), the header as JSON in UTF-8, the payload.
Neither side trusts the other: lengths are checked before anything is read, and nothing is ever unpickled.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

LENGTHS = struct.Struct(">IQ")
MAX_HEADER_BYTES = 256 * 1024
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024


class BrokenFrame(Exception):
    """What came is no frame, or one that is too long."""


def pack(header: Mapping[str, Any], payload: Sequence[bytes] = ()) -> bytes:
    """The bytes of a frame. Raises BrokenFrame when it is too long."""
    text = json.dumps(header, separators=(",", ":")).encode()
    size = sum(map(len, payload))
    _check(len(text), size)
    return b"".join((LENGTHS.pack(len(text), size), text, *payload))


def read(source: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None at the end. Raises BrokenFrame."""
    start = source.read(LENGTHS.size)
    if not start:
        return None
    if len(start) < LENGTHS.size:
        raise BrokenFrame("cut off")
    header, payload = LENGTHS.unpack(start)
    _check(header, payload)
    text, data = source.read(header), source.read(payload)
    if len(text) < header or len(data) < payload:
        raise BrokenFrame("cut off")
    return _header(text), data


async def read_async(source: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """The next frame. Raises BrokenFrame, and asyncio.IncompleteReadError at the end."""
    header, payload = LENGTHS.unpack(await source.readexactly(LENGTHS.size))
    _check(header, payload)
    text = await source.readexactly(header)
    return _header(text), await source.readexactly(payload)


def _check(header: int, payload: int) -> None:
    if header > MAX_HEADER_BYTES or payload > MAX_PAYLOAD_BYTES:
        raise BrokenFrame(f"{header} and {payload} bytes; at most {MAX_HEADER_BYTES} and {MAX_PAYLOAD_BYTES}")


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise BrokenFrame("the header is not JSON") from None
    if not isinstance(header, dict):
        raise BrokenFrame("the header is no object")
    return header
