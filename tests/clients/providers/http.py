"""How the scripted providers answer over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from tests.gateway.providers import STREAM_HEAD, chunk
from tests.gateway.support import Received

Json = dict[str, Any]


def fields_of(request: Received) -> Json:
    """The JSON of a body; for multipart nothing."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        return {}
    found: Json = orjson.loads(request.body)
    return found


def whole(row: object, status: int = 200, headers: str = "") -> bytes:
    body = orjson.dumps(row)
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def binary(body: bytes, content_type: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def stream(writer: asyncio.StreamWriter, *rows: object, named: bool = False, done: bool = False) -> None:
    """Server-sent events, each in a chunk of its own."""
    writer.write(STREAM_HEAD)
    for row in rows:
        name = f"event: {row['type']}\n".encode() if named and isinstance(row, dict) else b""
        writer.write(chunk(b"%bdata: %b\n\n" % (name, orjson.dumps(row))))
        await writer.drain()
    if done:
        writer.write(chunk(b"data: [DONE]\n\n"))
    writer.write(b"0\r\n\r\n")


def text_of(content: Any) -> str:
    """What a message says, and whether there is a picture."""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", f"<{part['type']}>") for part in content)
