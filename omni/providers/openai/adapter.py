"""Requests to providers that speak OpenAI's API. Where the client speaks it too, bytes pass as they are."""

from __future__ import annotations

from typing import Any, Final

from omni.contracts.routes import Operation, Provider
from omni.contracts.wire import (
    Answer,
    BadAnswer,
    Headers,
    ModelRequest,
    ProviderCall,
    ProviderRequest,
    StreamTranslator,
    Untranslatable,
    Usage,
)
from omni.providers.formats import chat, responses
from omni.providers.formats.calls import TranslatedCall, asked_chat
from omni.providers.formats.pivot import ChunkReader, Json
from omni.providers.formats.shapes import read_object, write
from omni.providers.formats.streams import PassedStream
from omni.providers.formats.usage import from_openai
from omni.providers.openai.multipart import with_model
from omni.providers.openai.stream import ChatReader, ChatWatcher, EventsWatcher, ResponsesWatcher, of_images

_PATHS: Final[dict[str, bytes]] = {
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
_HEADERS_KNOWN: Final = 1_000
_MULTIPART: Final = frozenset(("image_edits", "transcriptions", "translations"))
_ANSWERS_WITH: Final = {
    "chat": "choices",
    "completions": "choices",
    "responses": "output",
    "embeddings": "data",
    "images": "data",
    "image_edits": "data",
    "moderations": "results",
}
"""The member without which an answer is none."""
_TRANSLATED: Final = frozenset(("messages", "responses"))
_IMAGES: Final = frozenset(("images", "image_edits"))
_COUNTS_MORE: Final = _IMAGES | _MULTIPART
_TYPED_STREAMS: Final = frozenset(("images", "image_edits", "transcriptions", "translations", "speech"))


class OpenAIAdapter:
    """Kind `openai`."""

    def __init__(self) -> None:
        self._headers: dict[tuple[str, bytes], Headers] = {}
        """Those that most requests have, by key and content type."""

    def supports(self, provider: Provider, operation: Operation) -> bool:
        own = provider.operations
        if operation in _PATHS and (own is None or operation in own):
            return True
        return operation in _TRANSLATED and (own is None or "chat" in own)

    def call(self, provider: Provider, key: str, upstream_model: str, request: ModelRequest) -> ProviderCall:
        operation = request.operation
        own = provider.operations
        if operation in _PATHS and (own is None or operation in own):
            if upstream_model == request.model and request.max_output_tokens is None and not request.stream:
                body, content_type, stripped = request.body, request.content_type or chat.JSON_TYPE, False
            else:
                body, content_type, stripped = _passed_body(provider, upstream_model, request)
            sent = ProviderRequest(
                b"POST", self.path(provider, operation, upstream_model), self.headers(provider, key, content_type), body
            )
            return PassedCall(sent, request, key, strip_usage=stripped)
        fields = asked_chat(request)
        if "top_k" in fields and _is_openais(provider):
            raise Untranslatable("This model knows no top_k.")
        fields["model"] = upstream_model
        _name_ceiling(fields, _ceiling_name(provider, "chat"), request.max_output_tokens)
        if request.stream:
            fields["stream_options"] = {"include_usage": True}
        sent = ProviderRequest(
            b"POST",
            self.path(provider, "chat", upstream_model),
            self.headers(provider, key, chat.JSON_TYPE),
            write(fields),
        )
        return TranslatedCall(sent, request, key, ChatSide())

    def path(self, provider: Provider, operation: Operation, upstream_model: str) -> bytes:
        """Relative to the base URL."""
        del provider, upstream_model
        return _PATHS[operation]

    def headers(self, provider: Provider, key: str, content_type: bytes) -> Headers:
        """With the credential, where there is one."""
        del provider
        known = self._headers.get((key, content_type))
        if known is None:
            known = ((b"content-type", content_type), (b"accept", b"*/*"))
            if key:
                known = (*known, (b"authorization", b"Bearer " + key.encode("utf-8")))
            if len(self._headers) >= _HEADERS_KNOWN:
                self._headers.clear()
            self._headers[key, content_type] = known
        return known


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
        row = read_object(body)
        if needed is not None and not isinstance(row.get(needed), list):
            raise BadAnswer(f"no {needed} in an answer of status {status}")
        counts_more = self._operation in _COUNTS_MORE
        usage = _usage_of(self._operation, row) if counts_more else from_openai(row.get("usage"))
        return Answer(status, content_type or chat.JSON_TYPE, body, usage)

    def error(self, status: int, body: bytes) -> Answer:
        return chat.error_answer(status, body, self._key)

    def stream(self) -> StreamTranslator:
        if self._operation == "responses":
            return PassedStream(ResponsesWatcher(), responses.error_event)
        if self._operation in _TYPED_STREAMS:
            return PassedStream(EventsWatcher(images=self._operation in _IMAGES), chat.error_event)
        return PassedStream(ChatWatcher(strip_usage=self._strip_usage), chat.error_event)


class ChatSide:
    """Chat completions, which the pivot is."""

    def check_error(self, status: int, body: bytes) -> None:
        """Every error is the client's."""

    def completion(self, row: Json, model: str) -> tuple[Json, Usage | None]:
        del model
        return row, from_openai(row.get("usage"))

    def reader(self, model: str) -> ChunkReader:
        del model
        return ChatReader()


def _usage_of(operation: str, row: Json) -> Usage | None:
    """What an answer says of usage in `usage`, and in what else it counts: images, and the seconds of a recording."""
    usage = from_openai(row.get("usage"))
    if operation in _IMAGES:
        return of_images(usage, len(row["data"]))
    if usage is None and operation in _MULTIPART:
        return from_openai({"type": "duration", "seconds": row["duration"]}) if "duration" in row else None
    return usage


def _passed_body(provider: Provider, upstream_model: str, request: ModelRequest) -> tuple[bytes, bytes, bool]:
    """The body as it goes out, its content type, and whether the usage chunk was asked for on the client's behalf."""
    if request.operation in _MULTIPART:
        if upstream_model == request.model:
            return request.body, request.content_type, False
        return with_model(request.body, request.content_type, upstream_model), request.content_type, False
    fields = dict(request.fields)
    changed = upstream_model != request.model
    fields["model"] = upstream_model
    changed |= _lower(fields, request, _ceiling_name(provider, request.operation))
    stripped = request.stream and request.operation in ("chat", "completions") and not chat.wants_usage(fields)
    if stripped:
        options = fields.get("stream_options")
        fields["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    body = write(fields) if changed or stripped else request.body
    return body, request.content_type or chat.JSON_TYPE, stripped


def _is_openais(provider: Provider) -> bool:
    """Whether it is OpenAI's own API, not one that others made after it."""
    return provider.kind == "azure" or "api.openai.com" in provider.base_url


def _ceiling_name(provider: Provider, operation: str) -> str:
    if operation == "responses":
        return "max_output_tokens"
    if operation == "chat" and _is_openais(provider):
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


def _name_ceiling(fields: Json, name: str, ceiling: int | None) -> None:
    """Gives the ceiling of a translated request the name that its provider knows."""
    asked = fields.pop("max_completion_tokens", None)
    older = fields.pop("max_tokens", None)
    asked = older if asked is None else asked
    if ceiling is not None and not (type(asked) is int and asked <= ceiling):
        asked = ceiling
    if asked is not None:
        fields[name] = asked
