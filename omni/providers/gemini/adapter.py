"""Requests to Gemini: at the Gemini API, and at Vertex AI, which serves Anthropic's models, too."""

from __future__ import annotations

from urllib.parse import quote

from omni.contracts.routes import Operation, Provider
from omni.contracts.wire import Headers, ModelRequest, ProviderCall, ProviderRequest, Untranslatable
from omni.providers.formats import chat, messages
from omni.providers.formats.calls import CLIENT_FORMATS, TranslatedCall, asked_chat
from omni.providers.formats.messages_calls import MessagesSide, PassedMessages, lowered
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import write
from omni.providers.formats.to_messages import from_chat as to_messages
from omni.providers.gemini.embeddings import CountCall, EmbeddingsCall, batch_body, predict_body, vertex_batch_body
from omni.providers.gemini.request import from_chat
from omni.providers.gemini.response import GeminiSide

_SUPPORTED = CLIENT_FORMATS | {"embeddings", "count_tokens"}
_ANTHROPIC_VERSION = "vertex-2023-10-16"
_ACCESS_TOKEN = "ya29."  # noqa: S105 - how Google's access tokens begin


class GeminiAdapter:
    """Kind `gemini`."""

    def supports(self, provider: Provider, operation: Operation) -> bool:
        own = provider.operations
        if own is None or operation in own:
            return operation in _SUPPORTED
        return operation in CLIENT_FORMATS and "chat" in own

    def call(self, provider: Provider, key: str, upstream_model: str, request: ModelRequest) -> ProviderCall:
        headers = _headers(key)
        path = self.path(provider, upstream_model)
        operation = request.operation
        if operation == "embeddings":
            return self.embeddings(path, headers, upstream_model, request, key)
        fields = messages.to_chat(dict(request.fields)) if operation == "count_tokens" else asked_chat(request)
        body = from_chat(fields, upstream_model, request.max_output_tokens)
        if operation == "count_tokens":
            sent = ProviderRequest(b"POST", path + b":countTokens", headers, self.count_body(body, upstream_model))
            return CountCall(sent, request, key)
        verb = b":streamGenerateContent?alt=sse" if request.stream else b":generateContent"
        return TranslatedCall(ProviderRequest(b"POST", path + verb, headers, write(body)), request, key, GeminiSide())

    def path(self, provider: Provider, model: str) -> bytes:
        """Of the model, relative to the base URL, e.g. `https://generativelanguage.googleapis.com/v1beta`."""
        del provider
        return f"/models/{_quoted(model)}".encode("ascii")

    def count_body(self, body: Json, model: str) -> bytes:
        """The body of `countTokens`."""
        return write({"generateContentRequest": {"model": f"models/{model}", **body}})

    def embeddings(self, path: bytes, headers: Headers, model: str, request: ModelRequest, key: str) -> ProviderCall:
        sent = ProviderRequest(b"POST", path + b":batchEmbedContents", headers, batch_body(request, model))
        return EmbeddingsCall(sent, request, key)


class VertexAdapter(GeminiAdapter):
    """Kind `vertex`. A model whose name begins with `claude` is Anthropic's."""

    def call(self, provider: Provider, key: str, upstream_model: str, request: ModelRequest) -> ProviderCall:
        if not upstream_model.startswith("claude"):
            return super().call(provider, key, upstream_model, request)
        operation, headers = request.operation, _headers(key)
        model = "count-tokens" if operation == "count_tokens" else upstream_model
        verb = b":streamRawPredict" if request.stream else b":rawPredict"
        path = _publisher(provider, "anthropic", model) + verb
        if operation == "embeddings":
            raise Untranslatable("This model makes no embeddings.")
        if operation in ("messages", "count_tokens"):
            body = {**request.fields, **lowered(request)}
        else:
            body = to_messages(asked_chat(request), upstream_model, request.max_output_tokens)
        body["anthropic_version"] = _ANTHROPIC_VERSION
        if operation == "count_tokens":
            body["model"] = upstream_model
        else:
            del body["model"]
        sent = ProviderRequest(b"POST", path, headers, write(body))
        if operation in ("messages", "count_tokens"):
            return PassedMessages(sent, request, key)
        return TranslatedCall(sent, request, key, MessagesSide())

    def path(self, provider: Provider, model: str) -> bytes:
        return _publisher(provider, "google", model)

    def count_body(self, body: Json, model: str) -> bytes:
        del model
        return write({name: value for name, value in body.items() if name != "toolConfig"})

    def embeddings(self, path: bytes, headers: Headers, model: str, request: ModelRequest, key: str) -> ProviderCall:
        gemini = "gemini" in model
        verb, body = (
            (b":batchEmbedContents", vertex_batch_body(request)) if gemini else (b":predict", predict_body(request))
        )
        return EmbeddingsCall(ProviderRequest(b"POST", path + verb, headers, body), request, key)


def _publisher(provider: Provider, publisher: str, model: str) -> bytes:
    """A model's path. The base URL ends in the version, e.g. `https://europe-west1-aiplatform.googleapis.com/v1`.

    Without a project, as in express mode, the key says whose it is.
    """
    project, location = provider.settings.get("project"), provider.settings.get("location", "global")
    place = f"/projects/{_quoted(project)}/locations/{_quoted(location)}" if project else ""
    return f"{place}/publishers/{publisher}/models/{_quoted(model)}".encode("ascii")


def _quoted(name: str) -> str:
    return quote(name, safe="@.-_")


def _headers(key: str) -> Headers:
    secret = key.encode("utf-8")
    credential = (
        (b"authorization", b"Bearer " + secret) if key.startswith(_ACCESS_TOKEN) else (b"x-goog-api-key", secret)
    )
    return ((b"content-type", chat.JSON_TYPE), credential)
