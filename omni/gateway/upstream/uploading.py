"""Requests whose body goes to a backend as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from omni.gateway.upstream.answers import BackendResponse, ClientGone
from omni.gateway.upstream.connection import BackendConnection
from omni.gateway.upstream.owner import ConnectionOwner


class UploadingConnection(BackendConnection):
    """A connection that can also send a body in pieces."""

    def __init__(self, pool: ConnectionOwner, buffered_limit_bytes: int) -> None:
        super().__init__(pool, buffered_limit_bytes)
        self._write_waiter: asyncio.Future[None] | None = None
        self._uploading = False
        """Whether a part of the request has still to be sent."""

    async def upload(
        self, head: bytes, pieces: AsyncIterator[bytes], deadline: float, *, chunked: bool
    ) -> BackendResponse:
        """Sends a request whose body comes in pieces, as fast as the other side takes them, and returns its answer:
        also one that comes before the body has ended, which the rest is not sent after.

        Raises what the pieces or the answer raise; the connection is then closed.
        """
        self._uploading = True
        answer = self.send(head, deadline)
        sending = self._loop.create_task(self._send_pieces(pieces, chunked=chunked))
        waiting: set[asyncio.Future[Any]] = {answer, sending}
        failure: BaseException | None = None
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await sending
            await answer
        except BaseException as error:  # noqa: BLE001 - raised again when both have ended
            failure = error
            self.abort(error if isinstance(error, Exception) else ClientGone())
        sending.cancel()
        await asyncio.gather(sending, answer, return_exceptions=True)
        if failure is not None:
            raise failure
        return answer.result()

    async def _send_pieces(self, pieces: AsyncIterator[bytes], *, chunked: bool) -> None:
        async for piece in pieces:
            if self._transport is None:
                return
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if self._write_waiter is not None:
                await self._write_waiter
        if chunked and self._transport is not None:
            self._transport.write(b"0\r\n\r\n")
        self._uploading = False

    def pause_writing(self) -> None:
        self._write_waiter = self._loop.create_future()

    def resume_writing(self) -> None:
        waiter, self._write_waiter = self._write_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.resume_writing()
        super().connection_lost(exc)

    def _finish(self) -> None:
        if self._uploading:
            self._keep_alive = False  # what is left of the body would be read as the next request
        super()._finish()
