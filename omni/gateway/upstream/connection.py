"""One connection to a backend or provider, on httptools: a request at a time, its answer whole or as a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Final, cast

import httptools

from omni.gateway.upstream.answers import BackendResponse, DiedIdle, OnAnswer, backend_failed, backend_unavailable
from omni.gateway.upstream.known_answers import KnownAnswer, KnownAnswers
from omni.gateway.upstream.owner import ConnectionOwner
from omni.gateway.upstream.pace import Pace

_HEAD_LIMIT_BYTES: Final = 64 * 1024
_INTERIM_MOST: Final = 16
"""Answers with 1xx before the one that counts."""
_STREAM_HIGH_WATER_BYTES: Final = 256 * 1024
_READ_LENGTHS: Final = frozenset(map(len, (b"content-length", b"transfer-encoding", b"content-type")))


class BackendConnection:
    """One connection, an asyncio.Protocol: one request at a time."""

    def __init__(
        self, pool: ConnectionOwner, buffered_limit_bytes: int, *, repeated_headers: bool = True,
        answers: KnownAnswers | None = None, pace: Pace | None = None,
    ) -> None:  # fmt: skip
        """Without `repeated_headers` the last of those with one name counts, which takes a call less for each.

        With `answers` a head is not parsed that the server has sent before. Streams that are pumped keep to the `pace`.
        """
        self._pool = pool
        self._answers = answers
        self._pace = pace
        self._buffered_limit_bytes = buffered_limit_bytes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._found: dict[bytes, bytes] = {}
        """Headers of the answer that have not been looked at yet."""
        self._parser = httptools.HttpResponseParser(
            SimpleNamespace(
                on_message_begin=self.on_message_begin,
                on_header=self.on_header if repeated_headers else self._found.__setitem__,
                on_headers_complete=self.on_headers_complete,
                on_body=self.on_body,
                on_message_complete=self.on_message_complete,
            )
        )
        self._on_answer: OnAnswer | None = None
        self._reader: asyncio.Future[None] | None = None
        self.deadline = 0.0
        self.serial = 0
        """Which request of the connection is being served, counted from 1."""
        self.idle_since = 0.0
        self.busy = False
        self.reused = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.content_length: int | None = None
        self.content_type = b""
        self._head_bytes = 0
        self._feeding = 0
        self._bare_bytes = 0
        """What came since the body moved on."""
        self._interim = 0
        self._chunked = False
        self._keep_alive = True
        self._received = False
        self._complete = False
        self._found.clear()
        self._streaming = False
        self._begun = False
        """Whether a stream began of which nobody was told yet."""
        self._extra = False
        self._error: Exception | None = None
        self._parts: deque[bytes] = deque()
        self._parts_bytes = 0
        self._paused = False
        self._sink: Callable[[bytes], bool] | None = None
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, deadline: float) -> asyncio.Future[BackendResponse]:
        """Sends a whole request and returns its answer to be."""
        answer: asyncio.Future[BackendResponse] = self._loop.create_future()
        self.post(request, deadline, partial(_resolve, answer))
        return answer

    def post(self, request: bytes, deadline: float, on_answer: OnAnswer) -> None:
        """The same without a future: what waits is called in the turn in which the answer comes."""
        assert self._transport is not None
        self.deadline = deadline
        self.busy = True
        self.serial += 1
        self._on_answer = on_answer
        self._transport.write(request)

    async def read(self) -> bytes:
        self._bare_bytes = 0
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._complete:
                self._hand_back()
                return b""
            self._reader = self._loop.create_future()
            await self._reader
        return self._take()

    async def pump(self, sink: Callable[[bytes], bool]) -> bool:
        if self._parts and not sink(self._take()):
            return False
        while not self._complete:
            if self._error is not None:
                raise self._error
            self._sink = sink
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._sink = None
            if self._full:
                self._full = False
                return False
        self._hand_back()
        return True

    def _take(self) -> bytes:
        """All that was received and not yet handed on; reading goes on."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._parts_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def _hand_on(self, sink: Callable[[bytes], bool]) -> None:
        """What has just been received goes to the sink at once."""
        try:
            wants_more = sink(self._take())
        except Exception as error:  # noqa: BLE001 whoever pumps gets it
            self._sink = None
            self.abort(error)
            return
        if not wants_more:
            self._sink = None
            self._full = True
            self._wake_reader()

    def abort(self, error: Exception) -> None:
        """Ends the connection and whatever waits for it, with this error."""
        self._fail(error)
        if self._transport is not None:
            self._transport.abort()

    def abort_request(self, serial: int, error: Exception) -> None:
        """Aborts only while that request is being served: the connection may serve another one by now."""
        if self.serves(serial):
            self.abort(error)

    def serves(self, serial: int) -> bool:
        """Whether that request is still being served."""
        return self.busy and self.serial == serial

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if self._complete or self._error is not None:
            return
        self._error = error
        self._wake_reader()
        self._tell(error)

    def _tell(self, answer: BackendResponse | Exception) -> None:
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            on_answer(answer)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.busy and not self._complete:
            until_close = self._streaming and self.content_length is None and not self._chunked
            if until_close and exc is None:
                self._complete = True
                self._wake_reader()
            elif not self._received:
                self._fail(DiedIdle() if self.reused else backend_unavailable())
            else:
                self._fail(backend_failed("connection lost within the answer"))
        self._pool.forget(self)

    def eof_received(self) -> None:
        """The other side sends no more: the connection ends."""

    def pause_writing(self) -> None:
        """A whole request is written at once, and waits where it has to."""

    def resume_writing(self) -> None:
        """As above."""

    def data_received(self, data: bytes) -> None:
        if not self.busy:
            self.close()  # nothing was asked
            return
        is_first = not self._received
        if is_first and self._answers is not None and self._is_known(self._answers.head, data):
            return
        self._received = True
        self._feeding = len(data)
        unreadable: Exception | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._extra = True
            unreadable = error
        if self._begun:
            self._begun = False
            self._tell(BackendResponse(self))
        if unreadable is not None and not self._complete:
            self.abort(backend_failed(f"unreadable answer: {unreadable}"))
            return
        if self._sink is not None and self._parts:
            self._bare_bytes = 0
            self._hand_on(self._sink)
            if self._complete:
                self._finish()
            elif self._pace is not None and self._pace.busy:
                self._rest(self._pace)
        elif self._complete:
            if is_first and self._answers is not None:
                self._learn(self._answers, data)
            self._finish()
        elif not self._parts:
            self._count_bare(len(data))

    def _learn(self, answers: KnownAnswers, data: bytes) -> None:
        if self.status == 200 and self._keep_alive and not (self._extra or self._streaming or self._interim):
            answers.learn(data, self.content_length or 0, self.headers, self.content_type)

    def _is_known(self, head: KnownAnswer | None, data: bytes) -> bool:
        """Whether the whole answer came at once, under a head that is known; it is then handed on."""
        body = None if head is None else head.body_in(data, self._buffered_limit_bytes)
        if head is None or body is None:
            return False
        on_answer, self._on_answer = self._on_answer, None
        response = BackendResponse(self)
        response.status = 200
        response.headers, response.content_type = head.headers, head.content_type
        response.content_length, response.body = len(body), body
        self._hand_back()
        if on_answer is not None:
            on_answer(response)
        return True

    def _rest(self, pace: Pace) -> None:
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
            pace.rest(self)

    def wake(self) -> None:
        """Reads on, after a rest."""
        if self._paused and not self._parts and self.usable and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _count_bare(self, size: int) -> None:
        # An endless header or trailer never reaches on_header, and the parser keeps what there is of it.
        self._bare_bytes += size
        if self._bare_bytes > 2 * _HEAD_LIMIT_BYTES:
            self.abort(backend_failed("too much beside the body"))

    def _finish(self) -> None:
        """The whole answer is here: hands the connection back, unless it said more than was asked."""
        if self._streaming:
            self._wake_reader()  # who has taken all that is buffered hands the connection back
            return
        on_answer, self._on_answer = self._on_answer, None
        response = BackendResponse(self)
        parts = self._parts
        response.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._hand_back()
        if on_answer is not None:
            on_answer(response)

    def _hand_back(self) -> None:
        """The answer is taken: the connection may serve another request."""
        self.busy = False
        if self._extra or not self._keep_alive or not self.usable:
            self.close()
        else:
            self.reused = True
            if self._received:
                self._reset()
            self._pool.release(self)

    def on_message_begin(self) -> None:
        if self._complete:
            self._extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._extra or self._streaming:
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _HEAD_LIMIT_BYTES:
            raise ValueError("head too large")
        if len(name) not in _READ_LENGTHS or self._passes(name.lower(), value):
            self.headers.append((name, value))

    def _passes(self, name: bytes, value: bytes) -> bool:
        """Reads what says how long the answer is, and what it is; whether that is for others, too."""
        if name == b"content-length":
            self.content_length = int(value)
            return False
        if name == b"transfer-encoding":
            self._chunked = True
            return False
        if name == b"content-type":
            self.content_type = value
        return True

    def _look_at_found(self) -> None:
        found = self._found
        if self._bare_bytes + self._feeding > _HEAD_LIMIT_BYTES:
            self._head_bytes = sum(map(len, found)) + sum(map(len, found.values()))
            if self._head_bytes > _HEAD_LIMIT_BYTES:
                raise ValueError("head too large")
        for name in found:
            if len(name) in _READ_LENGTHS:
                self._passes(name.lower(), found[name])
        self.headers = list(found.items())
        found.clear()

    def on_headers_complete(self) -> None:
        if self._extra:
            return
        self.status = self._parser.get_status_code()
        if self._found:
            self._look_at_found()
        if self.status < 200:
            self._interim += 1
            if self._interim > _INTERIM_MOST:
                raise ValueError("too many interim answers")
            return
        self._keep_alive = self._parser.should_keep_alive()
        bodiless = self.status in (204, 304)
        small = self.content_length is not None and self.content_length <= self._buffered_limit_bytes
        if not (bodiless or small) and self._on_answer is not None:
            self._streaming = self._begun = True

    def on_body(self, data: bytes) -> None:
        if self._extra:
            return
        self._parts.append(data)
        if not self._streaming:
            return
        self._parts_bytes += len(data)
        if self._sink is None:
            self._wake_reader()
        if self._parts_bytes > _STREAM_HIGH_WATER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._extra:
            return
        if self.status < 200:
            self.headers.clear()
            return
        self._complete = True


def _resolve(future: asyncio.Future[BackendResponse], answer: BackendResponse | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
