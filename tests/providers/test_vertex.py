"""Vertex AI: Gemini's and Anthropic's models there."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from omni.contracts.wire import Untranslatable
from tests.providers.support import KEY, PROVIDERS, Json, adapter, answer, asked, call, sse, streamed

PLACE = b"/projects/acme/locations/europe-west1/publishers"
CHAT: Json = {"messages": [{"role": "user", "content": "Hi"}]}
CLAUDE = "claude-sonnet-4-5@20250929"


def test_gemini_at_vertex_has_the_same_body_elsewhere() -> None:
    made = call("vertex", "chat", CHAT)
    assert made.request.path == PLACE + b"/google/models/gemini-2.5-flash:generateContent"
    assert made.request.body == call("gemini", "chat", CHAT).request.body
    stream = call("vertex", "chat", {**CHAT, "stream": True})
    assert stream.request.path.endswith(b":streamGenerateContent?alt=sse")


def test_the_key_is_one_of_the_api_or_an_access_token() -> None:
    assert (b"x-goog-api-key", KEY.encode()) in call("vertex", "chat", CHAT).request.headers
    assert (b"authorization", b"Bearer ya29.abc") in call("vertex", "chat", CHAT, key="ya29.abc").request.headers
    express = adapter("vertex").call(
        replace(PROVIDERS["vertex"], settings={}), KEY, "gemini-2.5-flash", asked("chat", CHAT)
    )
    assert express.request.path == b"/publishers/google/models/gemini-2.5-flash:generateContent"


def test_embeddings_by_either_method() -> None:
    made = call("vertex", "embeddings", {"input": "a", "dimensions": 2}, model="text-embedding-005")
    assert made.request.path == PLACE + b"/google/models/text-embedding-005:predict"
    assert orjson.loads(made.request.body) == {
        "instances": [{"content": "a"}],
        "parameters": {"outputDimensionality": 2},
    }
    given = {"predictions": [{"embeddings": {"values": [1, 2], "statistics": {"token_count": 3}}}]}
    row, found = answer(made, given)
    assert row["data"][0]["embedding"] == [1, 2]
    assert found.usage is not None
    assert found.usage.quantities == {"input_tokens": 3}
    made = call("vertex", "embeddings", {"input": "a"}, model="gemini-embedding-2")
    assert made.request.path.endswith(b":batchEmbedContents")
    assert orjson.loads(made.request.body) == {"requests": [{"content": {"parts": [{"text": "a"}]}}]}


def test_counts_of_tokens() -> None:
    tools = [{"name": "t", "input_schema": {"type": "object"}}]
    made = call("vertex", "count_tokens", {**CHAT, "tools": tools, "tool_choice": {"type": "any"}})
    assert made.request.path == PLACE + b"/google/models/gemini-2.5-flash:countTokens"
    assert set(orjson.loads(made.request.body)) == {"contents", "tools"}


@pytest.mark.parametrize(("stream", "verb"), [(False, b":rawPredict"), (True, b":streamRawPredict")])
def test_claude_at_vertex_takes_messages(stream: bool, verb: bytes) -> None:
    fields = {**CHAT, "max_tokens": 10, "stream": stream}
    made = call("vertex", "messages", fields, model=CLAUDE, most=5)
    assert made.request.path == PLACE + b"/anthropic/models/claude-sonnet-4-5@20250929" + verb
    assert orjson.loads(made.request.body) == {
        **CHAT, "max_tokens": 5, "stream": stream, "anthropic_version": "vertex-2023-10-16",
    }  # fmt: skip


def test_claude_at_vertex_for_a_chat_client() -> None:
    made = call("vertex", "chat", {**CHAT, "max_tokens": 10}, model=CLAUDE)
    body = orjson.loads(made.request.body)
    assert "model" not in body
    assert body["anthropic_version"] == "vertex-2023-10-16"
    content = [{"type": "text", "text": "Hello."}]
    usage = {"input_tokens": 5, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    row, found = answer(
        made, {"id": "x", "type": "message", "content": content, "stop_reason": "end_turn", "usage": usage}
    )
    assert row["choices"][0]["message"]["content"] == "Hello."
    assert found.usage is not None
    assert found.usage.quantities == {"input_tokens": 5, "reasoning_tokens": 4, "output_tokens": 5}
    start = {"type": "message_start", "message": {"id": "x", "usage": {"input_tokens": 5, "output_tokens": 7}}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    _, translator = streamed(
        call("vertex", "chat", {**CHAT, "stream": True}, model=CLAUDE),
        sse(start, delta, end, {"type": "message_stop"}, named=True),
    )
    assert translator.usage == found.usage


def test_claude_at_vertex_counts_and_makes_no_embeddings() -> None:
    made = call("vertex", "count_tokens", CHAT, model=CLAUDE)
    assert made.request.path == PLACE + b"/anthropic/models/count-tokens:rawPredict"
    assert orjson.loads(made.request.body)["model"] == CLAUDE
    with pytest.raises(Untranslatable, match="embeddings"):
        call("vertex", "embeddings", {"input": "a"}, model=CLAUDE)
