"""Texts shown to a moderation model of the catalogue: of a request, of a whole answer, of a stream window by window."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from omni.contracts.routes import ModelRoute
from omni.contracts.wire import BadAnswer, ModelRequest, StreamTranslator
from omni.gateway.access.auth import Caller
from omni.gateway.policies.texts import delta_texts
from omni.gateway.routing.attempts import Attempts
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.router import Ask
from omni.gateway.routing.ways import AnswerStream, Way
from omni.gateway.streams import StreamStopped
from omni.gateway.upstream.answers import ClientGone
from omni.kit.errors import InvalidInput, NotConfigured, OmniError, Unavailable
from omni.providers.formats.sse import SseParser

WINDOW_CHARS = 1_000
"""How much text of a stream is looked at in one go, and so how much is held back."""
_OVERLAP_CHARS = 200
"""Of the text before a window is looked at again with it, for what stands on the border."""
_HELD_LIMIT_BYTES = 1024 * 1024
_INPUT_CHARS = 8_000
_INPUTS_AT_ONCE = 32
_TIMEOUT_SECONDS = 15.0


def moderation_blocked(what: str) -> InvalidInput:
    """The answer to what the moderation model flags."""
    return InvalidInput("moderation_blocked", f"The {what} was stopped by this account's moderation policy.")


@dataclass(frozen=True, slots=True)
class Subject:
    """The request whose texts are looked at."""

    caller: Caller
    ask: Callable[[], Ask]
    head: bytes
    backend_head: Callable[[], bytes]


class Moderator:
    """Asks the moderation model. Nobody is billed for it."""

    def __init__(self, catalogue: Catalogue, attempts: Attempts) -> None:
        self._catalogue = catalogue
        self._attempts = attempts
        self._loop = asyncio.get_running_loop()

    def model(self) -> ModelRoute:
        """The first by name that can moderate, a provider's before the platform's own. Raises NotConfigured
        `moderation_not_configured`.
        """
        models = self._catalogue.table.models.values()
        found = min((model for model in models if "moderations" in model.operations), key=self._rank, default=None)
        if found is None:
            raise NotConfigured(
                "moderation_not_configured",
                "This account's requests are to be moderated, but no model can do it. Ask the operator to add one.",
            )
        return found

    def _rank(self, model: ModelRoute) -> tuple[bool, str]:
        kinds = {self._catalogue.provider(target.provider).kind for target in model.targets}
        return kinds == {"backend"}, model.name

    async def flags(self, texts: Iterable[str], subject: Subject) -> bool:
        """Whether any of the texts is flagged. Raises NotConfigured, or Unavailable `moderation_unavailable`."""
        inputs = [
            text[start : start + _INPUT_CHARS]
            for text in texts
            if text.strip()
            for start in range(0, len(text), _INPUT_CHARS)
        ]
        for first in range(0, len(inputs), _INPUTS_AT_ONCE):
            if await self._ask(inputs[first : first + _INPUTS_AT_ONCE], subject):
                return True
        return False

    async def _ask(self, inputs: list[str], subject: Subject) -> bool:
        model = self.model()
        fields: dict[str, Any] = {"model": model.name, "input": inputs}
        request = ModelRequest(
            "moderations", orjson.dumps(fields), b"application/json", fields, model.name, stream=False
        )
        way = Way(
            request, model, subject.caller, subject.ask, False, self._loop.time() + _TIMEOUT_SECONDS, lambda _: None,
            subject.head, subject.backend_head,
        )  # fmt: skip
        try:
            answer = (await self._attempts.serve(way)).answer
            if answer is not None and answer.status == 200:
                return any(result["flagged"] is not False for result in orjson.loads(answer.body)["results"])
        except (OmniError, BadAnswer, ClientGone, orjson.JSONDecodeError, KeyError, TypeError):
            pass
        raise Unavailable("moderation_unavailable", "The moderation model does not answer just now. Try again shortly.")


class ModeratedStream:
    """A provider's stream that lets bytes through when the text in them was looked at, window by window."""

    def __init__(
        self, inner: AnswerStream, reader: StreamTranslator, flags: Callable[[list[str]], Awaitable[bool]]
    ) -> None:
        """`reader` is a translator for this use alone."""
        self._inner = inner
        self._reader = reader
        self._flags = flags
        self._parser = SseParser()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._unseen: dict[Any, str] = {}
        self._seen: dict[Any, str] = {}
        self.status = inner.status
        self.body = inner.body
        self.content_type = inner.content_type

    async def read(self) -> bytes:
        """The next bytes that may pass, b"" at the end.

        Raises StreamStopped where a window is flagged or cannot be looked at, BadAnswer, and what the inner raises.
        """
        while True:
            data = await self._inner.read()
            self._held.append(data)
            self._held_bytes += len(data)
            self._read_along(self._reader.feed(data) if data else self._reader.end())
            size = sum(map(len, self._unseen.values()))
            if not data or size >= WINDOW_CHARS or self._held_bytes > _HELD_LIMIT_BYTES:
                await self._look()
                released = b"".join(self._held)
                self._held.clear()
                self._held_bytes = 0
                if released or not data:
                    return released

    async def pump(self, sink: Callable[[bytes], bool]) -> bool:
        """As BackendResponse.pump."""
        while data := await self.read():
            if not sink(data):
                return False
        return True

    def _read_along(self, out: bytes) -> None:
        for event in self._parser.feed(out):
            if event.data == b"[DONE]":
                continue
            try:
                for key, piece in delta_texts(orjson.loads(event.data)):
                    self._unseen[key] = self._unseen.get(key, "") + piece
            except (orjson.JSONDecodeError, TypeError, AttributeError) as error:
                raise BadAnswer(f"an event that cannot be read: {error!r}") from None

    async def _look(self) -> None:
        windows = [self._seen.get(key, "") + text for key, text in self._unseen.items()]
        if windows:
            try:
                flagged = await self._flags(windows)
            except OmniError as error:
                raise StreamStopped(error.code, error.message, error.status) from None
            if flagged:
                refusal = moderation_blocked("answer")
                raise StreamStopped(refusal.code, refusal.message, refusal.status)
        for key, text in self._unseen.items():
            self._seen[key] = (self._seen.get(key, "") + text)[-_OVERLAP_CHARS:]
        self._unseen.clear()

    async def read_whole(self, limit_bytes: int) -> bytes:
        return await self._inner.read_whole(limit_bytes)

    def allow_until(self, deadline: float) -> None:
        self._inner.allow_until(deadline)

    def abort(self, error: Exception) -> None:
        self._inner.abort(error)

    def header(self, name: bytes) -> bytes:
        return self._inner.header(name)
