"""What backends and providers answer, and why they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from omni.kit.errors import DeadlineExceeded, Unavailable, UpstreamFailed

if TYPE_CHECKING:
    from omni.gateway.upstream.connection import BackendConnection


class ClientGone(Exception):
    """The client left; nobody waits for the answer."""


class DiedIdle(Exception):
    """A reused connection ended before the first byte of an answer: the request may go out once more."""


def backend_unavailable() -> Unavailable:
    """The answer while no backend can be reached."""
    return Unavailable("backend_unavailable", "The service is being restarted or is overloaded. Try again shortly.")


def backend_failed(internal: str) -> UpstreamFailed:
    """The answer when a backend breaks its own answer."""
    return UpstreamFailed("backend_failed", "The service did not answer correctly. Try again.", internal=internal)


def deadline_exceeded() -> DeadlineExceeded:
    """The answer when the time for a request is over."""
    return DeadlineExceeded("deadline_exceeded", "The request took too long.")


class BackendResponse:
    """An answer. `body` is whole, or None for a stream to be read; `content_length` is None when it is not declared."""

    __slots__ = ("_connection", "_serial", "body", "content_length", "content_type", "headers", "status")

    def __init__(self, connection: BackendConnection) -> None:
        self._connection = connection
        self._serial = connection.serial
        self.status = connection.status
        self.headers = connection.headers
        self.content_length = connection.content_length
        self.content_type = connection.content_type
        self.body: bytes | None = None

    async def read(self) -> bytes:
        """The next bytes of a stream, b"" at its end. Raises UpstreamFailed, DeadlineExceeded or ClientGone."""
        if not self._connection.serves(self._serial):
            return b""
        return await self._connection.read()

    async def pump(self, sink: Callable[[bytes], bool]) -> bool:
        """Hands each piece of a stream to `sink` as it comes, without a turn of the event loop in between.

        `sink` returns whether it can take more. Returns True at the end of the stream, False when `sink` had enough:
        nothing is read before the next call. Raises what `sink` or `read` raises.
        """
        return not self._connection.serves(self._serial) or await self._connection.pump(sink)

    async def read_whole(self, limit_bytes: int) -> bytes:
        """All of the body. Raises UpstreamFailed `backend_failed` when it is longer, and what `read` raises."""
        if self.body is not None:
            return self.body
        parts = bytearray()
        while data := await self.read():
            parts += data
            if len(parts) > limit_bytes:
                self.abort(backend_failed(f"answer of more than {limit_bytes} bytes"))
                raise backend_failed(f"answer of more than {limit_bytes} bytes")
        return bytes(parts)

    def allow_until(self, deadline: float) -> None:
        """Moves the deadline of a stream that goes on."""
        if self._connection.serial == self._serial:
            self._connection.deadline = deadline

    def abort(self, error: Exception) -> None:
        """Ends the exchange with the backend at once; a stream that is being read raises this error."""
        if self.body is None:
            self._connection.abort_request(self._serial, error)

    def header(self, name: bytes) -> bytes:
        """The last value of a header, or b""."""
        return next((value for key, value in reversed(self.headers) if key.lower() == name), b"")


OnAnswer = Callable[[BackendResponse | Exception], None]
"""Takes an answer, or why there is none. Never raises."""
