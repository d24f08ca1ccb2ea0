"""Requests to providers that speak OpenAI's API. Where the client speaks it too, bytes pass as they are."""

from __future__ import annotations

from typing import Any

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
from omni.providers.formats import chat, messages, responses
from omni.providers.formats.pivot import ChunkWriter, Json
from omni.providers.formats.streams import PassedStream, TranslatedStream
from omni.providers.formats.usage import from_openai
from omni.providers.openai.multipart import with_model
from omni.providers.openai.stream import ChatReader, ChatWatcher, ResponsesWatcher

_PATHS: dict[str, bytes] = {
    "chat": b"/chat/completions",
    "completions": b"/completions",
    "responses": b"/responses",
    "embeddings": b"/embeddings",
    "images": b"/images/generations",
    "image_edits": b"/images/edits",
    "transcriptions": b"/audio/transcriptions",
    "translations": b"/audio/translations",
    "speech": b"/audio/speech",
    "moderations": b"/moderations",
}
_MULTIPART = frozenset(("image_edits", "transcriptions", "translations"))
_ANSWERS_WITH = {
    "chat": "choices",
    "completions": "choices",
    "responses": "output",
    "embeddings": "data",
    "images": "data",
    "moderations": "results",
}
"""The member without which an answer is none."""
_TRANSLATED = frozenset(("messages", "responses"))


class OpenAIAdapter:
    """Kind `openai`."""

    def supports(self, provider: Provider, operation: Operation) -> bool:
        own = provider.operations
        if operation in _PATHS and (own is None or operation in own):
            return True
        return operation in _TRANSLATED and (own is None or "chat" in own)

    def call(self, provider: Provider, key: str, upstream_model: str, request: ModelRequest) -> ProviderCall:
        operation = request.operation
        own = provider.operations
        if operation in _PATHS and (own is None or operation in own):
            body, content_type, stripped = _passed_body(provider, upstream_model, request)
            sent = ProviderRequest(
                b"POST", self.path(provider, operation, upstream_model), self.headers(provider, key, content_type), body
            )
            return PassedCall(sent, request, key, strip_usage=stripped)
        module = messages if operation == "messages" else responses
        fields = module.to_chat(dict(request.fields))
        fields["model"] = upstream_model
        _lower(fields, request, "max_tokens" if operation == "messages" else "max_completion_tokens")
        if request.stream:
            fields["stream_options"] = {"include_usage": True}
        sent = ProviderRequest(
            b"POST",
            self.path(provider, "chat", upstream_model),
            self.headers(provider, key, chat.JSON_TYPE),
            orjson.dumps(fields),
        )
        return TranslatedCall(sent, request, key)

    def path(self, provider: Provider, operation: Operation, upstream_model: str) -> bytes:
        """Relative to the base URL."""
        del provider, upstream_model
        return _PATHS[operation]

    def headers(self, provider: Provider, key: str, content_type: bytes) -> Headers:
        """With the credential, where there is one."""
        del provider
        lines: Headers = ((b"content-type", content_type), (b"accept", b"*/*"))
        return (*lines, (b"authorization", b"Bearer " + key.encode("utf-8"))) if key else lines


class AzureAdapter(OpenAIAdapter):
    """Kind `azure`: the model is a deployment. A base URL that ends in `/openai/v1` takes it in the body instead."""

    def path(self, provider: Provider, operation: Operation, upstream_model: str) -> bytes:
        if provider.base_url.rstrip("/").endswith("/openai/v1"):
            return _PATHS[operation]
        version = provider.settings.get("api_version", "2024-10-21").encode("ascii")
        deployment = upstream_model.encode("ascii", "replace")
        return b"/openai/deployments/%b%b?api-version=%b" % (deployment, _PATHS[operation], version)

    def headers(self, provider: Provider, key: str, content_type: bytes) -> Headers:
        del provider
        return ((b"content-type", content_type), (b"accept", b"*/*"), (b"api-key", key.encode("utf-8")))


class PassedCall:
    """Client and provider speak the same format."""

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str, *, strip_usage: bool) -> None:
        self.request = sent
        self.content_type = chat.EVENT_STREAM
        self._operation = request.operation
        self._key = key
        self._strip_usage = strip_usage

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        needed = _ANSWERS_WITH.get(self._operation)
        if needed is None and b"json" not in content_type:
            return Answer(status, content_type or b"application/octet-stream", body, None)
        row = _object(body)
        if needed is not None and not isinstance(row.get(needed), list):
            raise BadAnswer(f"no {needed} in an answer of status {status}")
        return Answer(status, content_type or chat.JSON_TYPE, body, from_openai(row.get("usage")))

    def error(self, status: int, body: bytes) -> Answer:
        return chat.error_answer(status, body, self._key)

    def stream(self) -> StreamTranslator:
        if self._operation == "responses":
            return PassedStream(ResponsesWatcher(), responses.error_event)
        return PassedStream(ChatWatcher(strip_usage=self._strip_usage), chat.error_event)


class TranslatedCall:
    """The client speaks another format than the provider's chat."""

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str) -> None:
        self.request = sent
        self.content_type = chat.EVENT_STREAM
        self._asked = request
        self._key = key

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        del content_type
        row = _object(body)
        if not isinstance(row.get("choices"), list) or not row["choices"]:
            raise BadAnswer(f"no choices in an answer of status {status}")
        module = messages if self._asked.operation == "messages" else responses
        translated = module.from_completion(row, self._asked.model)
        return Answer(status, chat.JSON_TYPE, orjson.dumps(translated), from_openai(row.get("usage")))

    def error(self, status: int, body: bytes) -> Answer:
        if self._asked.operation == "messages":
            message, _ = chat.provider_message(body)
            return Answer(status, chat.JSON_TYPE, messages.error_body(status, chat.redacted(message, self._key)), None)
        return chat.error_answer(status, body, self._key)

    def stream(self) -> StreamTranslator:
        writer: ChunkWriter = (
            messages.MessagesWriter(self._asked.model)
            if self._asked.operation == "messages"
            else responses.ResponsesWriter(self._asked.model)
        )
        return TranslatedStream(ChatReader(), writer)


def _object(body: bytes) -> Json:
    try:
        row = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"an answer that is no JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadAnswer("an answer that is no JSON object")
    return row


def _passed_body(provider: Provider, upstream_model: str, request: ModelRequest) -> tuple[bytes, bytes, bool]:
    """The body as it goes out, its content type, and whether the usage chunk was asked for on the client's behalf."""
    if request.operation in _MULTIPART:
        if upstream_model == request.model:
            return request.body, request.content_type, False
        return with_model(request.body, request.content_type, upstream_model), request.content_type, False
    fields = dict(request.fields)
    changed = upstream_model != request.model
    fields["model"] = upstream_model
    changed |= _lower(fields, request, _ceiling_name(provider, request))
    stripped = request.stream and request.operation in ("chat", "completions") and not chat.wants_usage(fields)
    if stripped:
        options = fields.get("stream_options")
        fields["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    body = orjson.dumps(fields) if changed or stripped else request.body
    return body, request.content_type or chat.JSON_TYPE, stripped


def _ceiling_name(provider: Provider, request: ModelRequest) -> str:
    if request.operation == "responses":
        return "max_output_tokens"
    if request.operation == "chat" and (provider.kind == "azure" or "api.openai.com" in provider.base_url):
        return "max_completion_tokens"
    return "max_tokens"


def _lower(fields: dict[str, Any], request: ModelRequest, name: str) -> bool:
    """Sets the ceiling of the answer where it is lower than what the client asked for; whether it did."""
    ceiling = request.max_output_tokens
    if ceiling is None:
        return False
    for known in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        if isinstance(fields.get(known), int):
            name = known
    if isinstance(fields.get(name), int) and fields[name] <= ceiling:
        return False
    fields[name] = ceiling
    return True
