"""A ceiling for request bodies, held while they arrive."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omni.foundation.http.problems import problem_of, problem_response
from omni.kit.errors import TooLarge


class BodyLimit:
    """Refuses a body over `max_bytes`, by its announced length or once more has come in.

    The refusal replaces whatever the application answers: it may have taken the cut body for a broken one.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        received = 0
        refused = False

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._error()
            return message

        async def limited_send(message: Message) -> None:
            nonlocal refused
            if received <= self._max_bytes:
                await send(message)
            elif not refused:
                refused = True
                await self._refuse(scope, receive, send)

        await self._app(scope, limited_receive, limited_send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem_response(Request(scope), problem_of(self._error()))
        await response(scope, receive, send)

    def _error(self) -> TooLarge:
        return TooLarge(
            "body_too_large", f"The body is larger than {self._max_bytes} bytes.", max_bytes=self._max_bytes
        )
