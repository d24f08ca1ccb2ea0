"""A call whose client and provider speak different formats: everything passes through the pivot."""

from __future__ import annotations

from typing import Protocol

import orjson

from omni.contracts.wire import Answer, ModelRequest, ProviderRequest, StreamTranslator, Usage
from omni.providers.formats import chat, messages, responses
from omni.providers.formats.pivot import ChunkReader, ChunkWriter, Json
from omni.providers.formats.shapes import read_object
from omni.providers.formats.streams import TranslatedStream

CLIENT_FORMATS = frozenset(("chat", "messages", "responses"))
"""Operations that the pivot knows."""


def asked_chat(request: ModelRequest) -> Json:
    """What the client asks, as a chat request. Raises Untranslatable."""
    fields = dict(request.fields)
    if request.operation == "chat":
        return fields
    return messages.to_chat(fields) if request.operation == "messages" else responses.to_chat(fields)


def answered(request: ModelRequest, completion: Json) -> bytes:
    """A chat completion, in the client's format. Raises BadAnswer."""
    if request.operation == "messages":
        completion = messages.from_completion(completion, request.model, thinks=messages.wants_thinking(request.fields))
    elif request.operation == "responses":
        completion = responses.from_completion(completion, request.model)
    return orjson.dumps(completion)


def writer(request: ModelRequest) -> ChunkWriter:
    """Writes the client's stream."""
    if request.operation == "messages":
        return messages.MessagesWriter(request.model, thinks=messages.wants_thinking(request.fields))
    if request.operation == "responses":
        return responses.ResponsesWriter(request.model)
    return chat.ChatWriter(include_usage=chat.wants_usage(request.fields))


def refused(request: ModelRequest, status: int, body: bytes, key: str) -> Answer:
    """A provider's error, in the client's format and without the key."""
    if request.operation in ("messages", "count_tokens"):
        message, _ = chat.provider_message(body)
        return Answer(status, chat.JSON_TYPE, messages.error_body(status, chat.redacted(message, key)), None)
    return chat.error_answer(status, body, key)


class ProviderSide(Protocol):
    """How one provider's format is read."""

    def check_error(self, status: int, body: bytes) -> None:
        """Raises BadAnswer for an error that is not the client's."""
        ...

    def completion(self, row: Json, model: str) -> tuple[Json, Usage | None]:
        """A whole answer as a chat completion, and its usage. Raises BadAnswer."""
        ...

    def reader(self, model: str) -> ChunkReader: ...


class TranslatedCall:
    """One attempt at a provider that speaks another format than the client."""

    content_type: bytes = chat.EVENT_STREAM

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str, side: ProviderSide) -> None:
        self.request = sent
        self._asked = request
        self._key = key
        self._side = side

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        del content_type
        completion, usage = self._side.completion(read_object(body), self._asked.model)
        return Answer(status, chat.JSON_TYPE, answered(self._asked, completion), usage)

    def error(self, status: int, body: bytes) -> Answer:
        self._side.check_error(status, body)
        return refused(self._asked, status, body, self._key)

    def stream(self) -> StreamTranslator:
        return TranslatedStream(self._side.reader(self._asked.model), writer(self._asked))
