"""Requests to Anthropic. Messages pass as they are; chat and responses are translated."""

from __future__ import annotations

import orjson

from omni.contracts.routes import Operation, Provider
from omni.contracts.wire import (
    Answer,
    BadAnswer,
    Headers,
    ModelRequest,
    ProviderCall,
    ProviderRequest,
    StreamTranslator,
)
from omni.providers.anthropic.request import from_chat
from omni.providers.anthropic.response import MessagesReader, MessagesWatcher, to_completion, usage_of
from omni.providers.formats import chat, messages, responses
from omni.providers.formats.pivot import ChunkWriter, Json
from omni.providers.formats.streams import PassedStream, TranslatedStream

_VERSION = b"2023-06-01"
_PATHS: dict[str, bytes] = {"messages": b"/messages", "count_tokens": b"/messages/count_tokens"}
_TRANSLATED = frozenset(("chat", "responses"))


class AnthropicAdapter:
    """Kind `anthropic`."""

    def supports(self, provider: Provider, operation: Operation) -> bool:
        own = provider.operations
        if operation in _PATHS:
            return own is None or operation in own
        return operation in _TRANSLATED and (own is None or "messages" in own)

    def call(self, provider: Provider, key: str, upstream_model: str, request: ModelRequest) -> ProviderCall:
        del provider
        headers: Headers = (
            (b"content-type", chat.JSON_TYPE),
            (b"x-api-key", key.encode("utf-8")),
            (b"anthropic-version", _VERSION),
        )
        if request.operation in _PATHS:
            sent = ProviderRequest(b"POST", _PATHS[request.operation], headers, _passed_body(upstream_model, request))
            return PassedCall(sent, request, key)
        fields = dict(request.fields) if request.operation == "chat" else responses.to_chat(dict(request.fields))
        body = from_chat(fields, upstream_model, request.max_output_tokens)
        return TranslatedCall(ProviderRequest(b"POST", _PATHS["messages"], headers, orjson.dumps(body)), request, key)


class PassedCall:
    """The client speaks Anthropic's format."""

    content_type = chat.EVENT_STREAM

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str) -> None:
        self.request = sent
        self._operation = request.operation
        self._key = key

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        row = _object(body)
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


class TranslatedCall:
    """The client speaks chat or responses."""

    content_type = chat.EVENT_STREAM

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str) -> None:
        self.request = sent
        self._asked = request
        self._key = key

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        del content_type
        row = _object(body)
        if not isinstance(row.get("content"), list):
            raise BadAnswer(f"no content in an answer of status {status}")
        completion = to_completion(row, self._asked.model)
        if self._asked.operation == "responses":
            completion = responses.from_completion(completion, self._asked.model)
        return Answer(status, chat.JSON_TYPE, orjson.dumps(completion), usage_of(row.get("usage")))

    def error(self, status: int, body: bytes) -> Answer:
        return chat.error_answer(status, body, self._key)

    def stream(self) -> StreamTranslator:
        writer: ChunkWriter
        if self._asked.operation == "responses":
            writer = responses.ResponsesWriter(self._asked.model)
        else:
            writer = chat.ChatWriter(include_usage=chat.wants_usage(self._asked.fields))
        return TranslatedStream(MessagesReader(self._asked.model), writer)


def _object(body: bytes) -> Json:
    try:
        row = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"an answer that is no JSON: {error}") from None
    if not isinstance(row, dict) or row.get("type") == "error":
        raise BadAnswer("an answer that is an error, or no JSON object")
    return row


def _passed_body(upstream_model: str, request: ModelRequest) -> bytes:
    fields, ceiling = request.fields, request.max_output_tokens
    lowered = ceiling is not None and isinstance(fields.get("max_tokens"), int) and fields["max_tokens"] > ceiling
    if upstream_model == request.model and not lowered:
        return request.body
    changed = {**fields, "model": upstream_model}
    if lowered:
        changed["max_tokens"] = ceiling
    return orjson.dumps(changed)
