"""A ceiling for request bodies, held while they arrive."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omni.kit.errors import TooLarge


class BodyLimit:
    """Refuses a body over `max_bytes`, by its announced length or once more has come in."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        too_long = announced.isdigit() and int(announced) > self._max_bytes
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            if too_long:
                raise self._refusal()
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._refusal()
            return message

        await self._app(scope, limited_receive, send)

    def _refusal(self) -> TooLarge:
        return TooLarge(
            "body_too_large", f"The body is larger than {self._max_bytes} bytes.", max_bytes=self._max_bytes
        )
