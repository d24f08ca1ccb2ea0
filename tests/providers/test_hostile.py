"""Bodies that clients and providers got wrong: refused as such by every translation, and never an error of ours."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omni.contracts.routes import Kind, ModelRoute, Operation
from omni.contracts.wire import BadAnswer, ModelRequest, Untranslatable
from omni.gateway.admission.estimates import Estimates
from omni.gateway.routing.requests import expect, read_request
from omni.kit.errors import InvalidInput
from omni.providers.formats.texts import answered_text, asked_text
from tests.providers.support import KEY, MODELS, PROVIDERS, Json, adapter, call, sse

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "a"]), inner, max_size=3)
    ),
    max_leaves=5,
)
SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PNG = "data:image/png;base64,AAAA"
TOOL: Json = {"type": "function", "function": {"name": "t", "description": "d", "parameters": {"type": "object"}}}
CHAT: Json = {
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [
            {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PNG}},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        ]},
        {"role": "assistant", "content": "b", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
        ]},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
        {"role": "user", "content": "e"},
    ],
    "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "t"}},
    "max_completion_tokens": 100, "stop": ["x"], "temperature": 0.5, "reasoning_effort": "low", "user": "u",
    "stream": False, "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
}  # fmt: skip
MESSAGES: Json = {
    "max_tokens": 100, "system": [{"type": "text", "text": "s"}], "metadata": {"user_id": "u"},
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "a"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "h", "signature": "s"},
            {"type": "tool_use", "id": "c", "name": "t", "input": {"a": 1}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "r"}]}
        ]},
    ],
    "tools": [{"name": "t", "description": "d", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "t"}, "stop_sequences": ["x"], "temperature": 0.5,
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
}  # fmt: skip
RESPONSES: Json = {
    "instructions": "i", "max_output_tokens": 100, "reasoning": {"effort": "low"},
    "input": [
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PNG}
        ]},
        {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "r"},
        {"role": "user", "content": "e"},
    ],
    "tools": [{"type": "function", "name": "t", "parameters": {"type": "object"}}],
    "tool_choice": {"type": "function", "name": "t"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
}  # fmt: skip
EMBEDDINGS: Json = {"input": ["a", "b"], "dimensions": 2, "encoding_format": "base64"}
REQUESTS: dict[Operation, Json] = {
    "chat": CHAT, "messages": MESSAGES, "responses": RESPONSES, "embeddings": EMBEDDINGS, "count_tokens": MESSAGES,
}  # fmt: skip

COMPLETION: Json = {
    "id": "i", "object": "chat.completion", "created": 1, "model": "x",
    "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "a", "reasoning_content": "h", "refusal": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}],
    }}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1},
              "completion_tokens_details": {"reasoning_tokens": 1}},
}  # fmt: skip
CHUNKS: list[Any] = [
    {"id": "i", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a", "reasoning_content": "h"}}]},
    {"id": "i", "choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "c", "function": {"name": "t", "arguments": "{}"}}
    ]}}]},
    {"id": "i", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"id": "i", "choices": [], "usage": COMPLETION["usage"]},
]  # fmt: skip
MESSAGE: Json = {
    "id": "m", "type": "message", "role": "assistant", "stop_reason": "tool_use",
    "content": [
        {"type": "thinking", "thinking": "h", "signature": "s"}, {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "c", "name": "t", "input": {"a": 1}},
    ],
    "usage": {"input_tokens": 5, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 2}},
}  # fmt: skip
EVENTS: list[Any] = [
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 5}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "c", "name": "t"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "a"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": MESSAGE["usage"]},
    {"type": "message_stop"},
]
GEMINI: Json = {
    "responseId": "r",
    "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
        {"text": "h", "thought": True}, {"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"functionCall": {"id": "c", "name": "t", "args": {"a": 1}}, "thoughtSignature": "s"},
    ]}}],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 5, "thoughtsTokenCount": 1,
                      "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]},
}  # fmt: skip
RESPONSE: Json = {"id": "r", "object": "response", "output": [], "usage": {"input_tokens": 1, "output_tokens": 1}}
VECTORS: Json = {"embeddings": [{"values": [0.5, 1]}, {"values": [2, 3]}], "usageMetadata": {"promptTokenCount": 3}}
ANSWERS: dict[Kind, tuple[Json, list[Any]]] = {
    "openai": (COMPLETION, CHUNKS), "anthropic": (MESSAGE, EVENTS), "gemini": (GEMINI, [GEMINI]),
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something in a document can be replaced."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in items:
        yield (*path, name)
        yield from places(member, (*path, name))


WRONG: tuple[Any, ...] = (
    {"type": {"a": 1}},
    [{"type": ["x"]}],
    {"type": "image"},
    None,
    True,
    5,
    -1,
    0.5,
    "",
    "x",
    [],
    {},
    [5],
    ["x"],
    [None],
    [[]],
    {"a": 1},
    [{}],
    [{"a": 1}],
)


def spoiled_once(valid: Any) -> Iterator[Any]:
    """The document with each of its members replaced by each of a few wrong values."""
    for *path, last in places(valid):
        for wrong in WRONG:
            found = copy.deepcopy(valid)
            holder = found
            for name in path:
                holder = holder[name]
            holder[last] = wrong
            yield found


@st.composite
def spoiled(draw: st.DrawFn, valid: Any) -> Any:
    """A document with one to three members replaced by junk, or taken away."""
    found = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(list(places(found)) or [("a",)]))
        holder = found
        for name in path:
            holder = holder[name]
        if isinstance(holder, dict) and draw(st.booleans()):
            holder.pop(last, None)
        elif isinstance(holder, dict | list):
            holder[last] = draw(JUNK)
    return found


PAIRS: list[tuple[Kind, Operation, str]] = [
    *((kind, operation, MODELS[kind]) for kind in ("openai", "anthropic", "gemini", "vertex")
      for operation in ("chat", "messages", "responses", "embeddings", "count_tokens")
      if not (kind == "anthropic" and operation == "embeddings")
      and not (kind == "openai" and operation == "count_tokens")),
    *(("vertex", operation, "claude-opus-5") for operation in ("chat", "messages", "responses", "count_tokens")),
    *(("anthropic", operation, "claude-opus-5") for operation in ("chat", "responses")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "operation", "model"), PAIRS)
@SETTINGS
@given(data=st.data())
def test_a_spoiled_request_is_refused_or_sent(
    kind: Kind, operation: Operation, model: str, data: st.DataObject
) -> None:
    call(kind, operation, REQUESTS[operation], model=model)
    fields = data.draw(spoiled(REQUESTS[operation]))
    fields = {name: value for name, value in fields.items() if name != "model"}
    with suppress(Untranslatable):
        made = call(kind, operation, fields, model=model, most=data.draw(st.sampled_from([None, 7])))
        assert isinstance(orjson.loads(made.request.body), dict)


@pytest.mark.parametrize(("kind", "operation", "model"), PAIRS)
def test_every_member_of_a_request_may_be_wrong(kind: Kind, operation: Operation, model: str) -> None:
    for fields in spoiled_once(REQUESTS[operation]):
        with suppress(Untranslatable):
            call(kind, operation, fields, model=model)


WAYS = [(kind, operation, stream) for kind in ANSWERS for operation in ("chat", "messages", "responses")
        for stream in (False, True) if (kind, operation) != ("openai", "responses")]  # fmt: skip


@pytest.mark.parametrize(("kind", "operation", "stream"), WAYS)
@SETTINGS
@given(data=st.data())
def test_a_spoiled_answer_is_passed_or_a_bad_answer(
    kind: Kind, operation: Operation, stream: bool, data: st.DataObject
) -> None:
    made = call(kind, operation, {**REQUESTS[operation], "stream": stream})
    whole, pieces = ANSWERS[kind]
    with suppress(BadAnswer):
        if not stream:
            made.answer(200, b"application/json", orjson.dumps(data.draw(spoiled(whole))))
            return
        translator = made.stream()
        translator.feed(sse(*data.draw(spoiled(pieces)), done=kind == "openai"))
        translator.end()
        translator.fail("provider_failed", "x")
        assert translator.text_bytes >= 0


@pytest.mark.parametrize(("kind", "operation", "stream"), WAYS)
def test_every_member_of_an_answer_may_be_wrong(kind: Kind, operation: Operation, stream: bool) -> None:
    made = call(kind, operation, {**REQUESTS[operation], "stream": stream})
    for document in spoiled_once(ANSWERS[kind][1 if stream else 0]):
        with suppress(BadAnswer):
            if not stream:
                made.answer(200, b"application/json", orjson.dumps(document))
                continue
            translator = made.stream()
            translator.feed(sse(*document, done=kind == "openai"))
            translator.end()


@SETTINGS
@given(data=st.data())
def test_spoiled_answers_of_other_kinds(data: st.DataObject) -> None:
    ways: list[tuple[Kind, Operation, str, Any]] = [
        ("gemini", "embeddings", "gemini-embedding-001", VECTORS),
        ("vertex", "embeddings", "text-embedding-005",
         {"predictions": [{"embeddings": {"values": [1, 2], "statistics": {"token_count": 3}}}] * 2}),
        ("gemini", "count_tokens", "gemini-3-pro", {"totalTokens": 3}),
        ("openai", "responses", "gpt-5", RESPONSE),
    ]  # fmt: skip
    for kind, operation, model, valid in ways:
        made = call(kind, operation, REQUESTS[operation], model=model)
        with suppress(BadAnswer):
            made.answer(200, b"application/json", orjson.dumps(data.draw(spoiled(valid))))


@given(body=st.binary(max_size=60) | JUNK.map(orjson.dumps), status=st.integers(400, 599))
@settings(deadline=None)
def test_any_error_body_becomes_an_error(body: bytes, status: int) -> None:
    for kind in ANSWERS:
        for operation in ("chat", "messages", "responses"):
            found = call(kind, operation, REQUESTS[operation]).error(status, body)
            assert isinstance(orjson.loads(found.body)["error"]["message"], str)


def test_text_is_found_in_any_document() -> None:
    for valid in (CHAT, MESSAGES, RESPONSES, COMPLETION, MESSAGE):
        for document in spoiled_once(valid):
            assert isinstance(asked_text(document), str)
            assert isinstance(answered_text(orjson.dumps(document)), str)


@pytest.mark.parametrize("operation", REQUESTS)
def test_any_body_is_read_or_refused(operation: Operation) -> None:
    model = ModelRoute("m", frozenset((operation,)), ())
    for fields in spoiled_once(REQUESTS[operation]):
        with suppress(InvalidInput):
            asked = read_request(operation, b"application/json", orjson.dumps({**fields, "model": "m"}))
            expect({}, asked, model, Estimates())


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_a_body_that_is_nested_too_deeply_is_refused(kind: Kind) -> None:
    deep: Json = {}
    for _ in range(300):
        deep = {"a": deep}
    tool = {"type": "function", "function": {"name": "t", "parameters": deep}}
    fields = {**CHAT, "model": "m", "tools": [tool]}
    request = ModelRequest("chat", b"", b"application/json", fields, "m", stream=False)
    with pytest.raises(Untranslatable, match="deep"):
        adapter(kind).call(PROVIDERS[kind], KEY, MODELS[kind], request)
