"""What `/openapi.json` says of the routes that only the gateway serves.

Their formats are OpenAI's and Anthropic's own; named here is what has to be there and what Omni itself reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from omni.contracts.endpoints import Endpoint
from omni.contracts.routes import Operation

Schema = dict[str, Any]

_MODEL: Schema = {"type": "string", "description": "A model of `GET /v1/models`.", "examples": ["gpt-4o-mini"]}
_STREAM: Schema = {"type": "boolean", "description": "Answer as server-sent events.", "default": False}
_TEXT: Schema = {"type": "string"}
_TOKENS: Schema = {"type": "integer", "minimum": 1}
_MESSAGES: Schema = {"type": "array", "items": {"type": "object"}, "minItems": 1}
_FILE: Schema = {"type": "string", "format": "binary"}
_JSON, _FORM, _SSE = "application/json", "multipart/form-data", "text/event-stream"
_HI = [{"role": "user", "content": "Say hello."}]

_REQUESTS: dict[Operation, tuple[str, str, Schema, list[str], dict[str, Any]]] = {
    "chat": (
        "Chat completion", _JSON,
        {"model": _MODEL, "messages": _MESSAGES, "stream": _STREAM, "max_completion_tokens": _TOKENS},
        ["model", "messages"], {"model": "gpt-4o-mini", "messages": _HI},
    ),
    "completions": (
        "Text completion", _JSON, {"model": _MODEL, "prompt": {}, "stream": _STREAM, "max_tokens": _TOKENS},
        ["model", "prompt"], {"model": "gpt-3.5-turbo-instruct", "prompt": "Once"},
    ),
    "responses": (
        "Response", _JSON, {"model": _MODEL, "input": {}, "stream": _STREAM, "max_output_tokens": _TOKENS},
        ["model", "input"], {"model": "gpt-4o-mini", "input": "Say hello."},
    ),
    "images": (
        "Images from a text", _JSON, {"model": _MODEL, "prompt": _TEXT, "n": _TOKENS}, ["model", "prompt"],
        {"model": "gpt-image-1", "prompt": "A fox before a gate."},
    ),
    "image_edits": (
        "Edited images", _FORM, {"model": _MODEL, "image": _FILE, "prompt": _TEXT}, ["model", "image", "prompt"], {},
    ),
    "transcriptions": ("Speech to text", _FORM, {"model": _MODEL, "file": _FILE}, ["model", "file"], {}),
    "translations": ("Speech to English text", _FORM, {"model": _MODEL, "file": _FILE}, ["model", "file"], {}),
    "speech": (
        "Text to speech", _JSON, {"model": _MODEL, "input": _TEXT, "voice": _TEXT}, ["model", "input", "voice"],
        {"model": "tts-1", "input": "Hello.", "voice": "alloy"},
    ),
    "messages": (
        "Message, in Anthropic's format", _JSON,
        {"model": _MODEL, "messages": _MESSAGES, "max_tokens": _TOKENS, "stream": _STREAM},
        ["model", "messages", "max_tokens"], {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": _HI},
    ),
    "count_tokens": (
        "Number of input tokens, in Anthropic's format", _JSON, {"model": _MODEL, "messages": _MESSAGES},
        ["model", "messages"], {"model": "claude-sonnet-4-5", "messages": _HI},
    ),
}  # fmt: skip
_STREAMED = frozenset(("chat", "completions", "responses", "messages"))


def with_own_routes(document: bytes, endpoints: Iterable[Endpoint]) -> bytes:
    """The backend's description with the gateway's own routes in it."""
    whole: dict[str, Any] = orjson.loads(document)
    for endpoint in endpoints:
        if not endpoint.backend and endpoint.operation is not None:
            whole["paths"].setdefault(endpoint.template, {})[endpoint.method.lower()] = _described(endpoint)
    return orjson.dumps(whole)


def _described(endpoint: Endpoint) -> dict[str, Any]:
    assert endpoint.operation is not None
    if endpoint.operation == "realtime":
        return _realtime(endpoint)
    summary, kind, properties, required, example = _REQUESTS[endpoint.operation]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": True}
    content: dict[str, Any] = {"schema": schema}
    if example:
        content["example"] = example
    answers: dict[str, Any] = {_JSON: {"schema": {"type": "object"}}}
    if endpoint.operation in _STREAMED:
        answers[_SSE] = {"schema": {"type": "string"}}
    if endpoint.operation == "speech":
        answers = {"audio/*": {"schema": _FILE}}
    return {
        "tags": ["Models"],
        "summary": summary,
        "operationId": endpoint.operation,
        "requestBody": {"required": True, "content": {kind: content}},
        "responses": {"200": {"description": "The answer.", "content": answers}, **_refusals(endpoint)},
    }


def _realtime(endpoint: Endpoint) -> dict[str, Any]:
    parameter = {"name": "model", "in": "query", "required": True, "schema": _MODEL}
    return {
        "tags": ["Models"],
        "summary": "Realtime session, over a WebSocket",
        "operationId": "realtime",
        "parameters": [parameter],
        "responses": {"101": {"description": "The connection becomes a WebSocket."}, **_refusals(endpoint)},
    }


def _refusals(endpoint: Endpoint) -> dict[str, Any]:
    shape = "Anthropic" if endpoint.error_shape == "anthropic" else "OpenAI"
    return {
        "default": {
            "description": f"An error in {shape}'s shape; `code` is explained at `doc_url`.",
            "content": {_JSON: {"schema": {"type": "object"}}},
        }
    }
