"""Calls to whoever serves Anthropic's Messages."""

from __future__ import annotations

import orjson

from omni.contracts.wire import Answer, BadAnswer, ModelRequest, ProviderRequest, StreamTranslator, Usage
from omni.providers.formats import chat, messages
from omni.providers.formats.from_messages import MessagesReader, MessagesWatcher, to_completion, usage_of
from omni.providers.formats.pivot import ChunkReader, Json
from omni.providers.formats.shapes import read_object
from omni.providers.formats.streams import PassedStream


class PassedMessages:
    """The client speaks Messages, too."""

    content_type = chat.EVENT_STREAM

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str) -> None:
        self.request = sent
        self._operation = request.operation
        self._key = key

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        row = read_object(body)
        if self._operation == "count_tokens":
            if type(row.get("input_tokens")) is not int:
                raise BadAnswer("no count")
            return Answer(status, content_type or chat.JSON_TYPE, body, None)
        if not isinstance(row.get("content"), list):
            raise BadAnswer(f"no content in an answer of status {status}")
        return Answer(status, content_type or chat.JSON_TYPE, body, usage_of(row.get("usage")))

    def error(self, status: int, body: bytes) -> Answer:
        message, found = chat.provider_message(body)
        if found.get("type"):
            error = {**found, "message": chat.redacted(message, self._key)}
            return Answer(status, chat.JSON_TYPE, orjson.dumps({"type": "error", "error": error}), None)
        return Answer(status, chat.JSON_TYPE, messages.error_body(status, chat.redacted(message, self._key)), None)

    def stream(self) -> StreamTranslator:
        return PassedStream(MessagesWatcher(), messages.error_event)


class MessagesSide:
    """How Messages are read for a client that speaks something else."""

    def check_error(self, status: int, body: bytes) -> None:
        """Every error is the client's."""

    def completion(self, row: Json, model: str) -> tuple[Json, Usage | None]:
        return to_completion(row, model), usage_of(row.get("usage"))

    def reader(self, model: str) -> ChunkReader:
        return MessagesReader(model)


def lowered(request: ModelRequest) -> dict[str, int]:
    """The ceiling of a request of Messages, where it is lower than what the client asked for."""
    ceiling, asked = request.max_output_tokens, request.fields.get("max_tokens")
    return {"max_tokens": ceiling} if ceiling is not None and isinstance(asked, int) and asked > ceiling else {}
