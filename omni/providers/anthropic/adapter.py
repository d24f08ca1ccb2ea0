"""Requests to Anthropic. Messages pass as they are; chat and responses are translated."""

from __future__ import annotations

from omni.contracts.routes import Operation, Provider
from omni.contracts.wire import Headers, ModelRequest, ProviderCall, ProviderRequest
from omni.providers.formats import chat
from omni.providers.formats.calls import TranslatedCall, asked_chat
from omni.providers.formats.messages_calls import MessagesSide, PassedMessages, lowered
from omni.providers.formats.shapes import write
from omni.providers.formats.to_messages import from_chat

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
            if request.beta:
                headers += ((b"anthropic-beta", request.beta),)
            sent = ProviderRequest(b"POST", _PATHS[request.operation], headers, _passed_body(upstream_model, request))
            return PassedMessages(sent, request, key)
        body = from_chat(asked_chat(request), upstream_model, request.max_output_tokens)
        sent = ProviderRequest(b"POST", _PATHS["messages"], headers, write(body))
        return TranslatedCall(sent, request, key, MessagesSide())


def _passed_body(upstream_model: str, request: ModelRequest) -> bytes:
    changed = lowered(request)
    if upstream_model == request.model and not changed:
        return request.body
    return write({**request.fields, "model": upstream_model, **changed})
