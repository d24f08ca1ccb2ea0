"""Mock provider and clients of the benchmark of streams in one process.

One process, so that both sides of a stream read one clock. It serves on the port, and for each line of JSON on its
input (`{"port": …, "key": …}`) measures streams from there and writes a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from itertools import cycle
from typing import Any, cast

from bench.gateway import sides

STREAMS = 2_000
CHUNKS_A_SECOND = 20
CHUNKS = 100
"""Of one stream; then the client begins another one."""
OPENED_A_SECOND = 500
SECONDS = 8
_EVENT = {
    "id": "chatcmpl-9x7Qb2mZk3LrT0vW5yHs8dNfUeJ1o",
    "object": "chat.completion.chunk",
    "created": 1760000000,
    "model": sides.MODEL,
    "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
}
_USAGE = {**_EVENT, "choices": [], "usage": {"prompt_tokens": 19, "completion_tokens": CHUNKS, "total_tokens": 119}}


class _Provider(asyncio.Protocol):
    """Answers every request with a stream, in one of the slots of a period."""

    def __init__(self, streams: set[_Provider]) -> None:
        self._streams = streams
        self._left = 0
        self.transport: asyncio.Transport | None = None
        self._begin = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._streams.discard(self)
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self._begin += data
        head, blank, body = self._begin.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) if blank else 0
        if blank and len(body) >= length and self.transport is not None:
            self._begin = b""
            self.transport.write(_HEAD + _CHUNK)
            self._left = CHUNKS - 1
            self._streams.add(self)

    def step(self) -> None:
        assert self.transport is not None
        if self._left:
            self._left -= 1
            self.transport.write(_CHUNK)
        else:
            self._streams.discard(self)
            self.transport.write(_LAST)


def _framed(event: dict[str, Any]) -> bytes:
    data = b"data: %b\n\n" % json.dumps(event, separators=(",", ":")).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK = _framed(_EVENT)
_LAST = _framed(_USAGE) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_SLOTS = 50
"""Parts of a period in which the provider serves its streams, so that chunks come spread over it."""


async def _provide(port: int) -> None:
    loop = asyncio.get_running_loop()
    slots: list[set[_Provider]] = [set() for _ in range(_SLOTS)]
    in_turn = cycle(slots)
    await loop.create_server(lambda: _Provider(next(in_turn)), "127.0.0.1", port, backlog=4096)
    due = time.perf_counter()
    for slot in cycle(slots):
        due += 1 / CHUNKS_A_SECOND / _SLOTS
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        for stream in list(slot):
            stream.step()


class _Client(asyncio.Protocol):
    """Asks for one stream after the other on one connection."""

    def __init__(self, request: bytes, record: _Record) -> None:
        self._request = request
        self._record = record
        self._transport: asyncio.Transport | None = None
        self._asked_at = 0.0
        self._begins = False
        self._tail = b""
        self.refused = False
        """Whether it was answered with an error, and asks no more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._record.over:
            self._record.broken += 1

    def _ask(self) -> None:
        assert self._transport is not None
        self._begins, self._asked_at = True, time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._begins:
            self._begins, self.refused = False, not data.startswith(b"HTTP/1.1 200 ")
        if self._asked_at and b"data: " in data:
            self._record.first_bytes.append((self._asked_at, time.perf_counter() - self._asked_at))
            self._asked_at = 0.0
        self._record.chunks += data.count(b"data: ")
        self._tail = (self._tail + data)[-32:]
        if self._tail.endswith(b"0\r\n\r\n") and b"[DONE]" in self._tail and not self._record.over:
            self._tail = b""
            self._ask()


class _Record:
    def __init__(self) -> None:
        self.first_bytes: list[tuple[float, float]] = []
        self.chunks = 0
        self.broken = 0
        self.over = False


async def _drive(port: int, key: str) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    body = json.dumps({**sides.REQUEST, "stream": True}, separators=(",", ":")).encode()
    request = (
        f"POST {sides.CHAT_PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    record, clients, transports, start = _Record(), [], [], time.perf_counter()
    for number in range(STREAMS):
        await asyncio.sleep(max(0.0, start + number / OPENED_A_SECOND - time.perf_counter()))
        transport, client = await loop.create_connection(lambda: _Client(request, record), "127.0.0.1", port)
        transports.append(transport)
        clients.append(client)
    all_open = time.perf_counter()
    await asyncio.sleep(SECONDS)
    chunks, record.over = record.chunks, True
    refused = sum(client.refused for client in clients)
    for transport in transports:
        transport.abort()
    # When nothing began any more while all were open, the last ones that did have to do.
    begun = [pair for pair in record.first_bytes if pair[0] >= all_open] or record.first_bytes[-100:]
    steady = sorted(seconds * 1000 for _, seconds in begun)
    await asyncio.sleep(0.5)
    return {
        "p50_ms": statistics.median(steady),
        "p99_ms": steady[int(len(steady) * 0.99)],
        "chunks": chunks,
        "broken": record.broken + refused,
    }


async def main(port: int) -> None:
    """Serves and measures until its input ends."""
    providing = asyncio.create_task(_provide(port))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        sys.stdout.write(json.dumps(await _drive(asked["port"], asked["key"])) + "\n")
        sys.stdout.flush()
    providing.cancel()
