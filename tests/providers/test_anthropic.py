"""Chat and Responses at Anthropic, Messages as they pass, and what is counted."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from omni.contracts.wire import Untranslatable
from tests.providers.support import KEY, Json, answer, asked, call, events, sent, sse, streamed

TOOL: Json = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True}}
USAGE = {
    "input_tokens": 10, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 8},
}  # fmt: skip
METERS = {
    "input_tokens": 10, "cached_input_tokens": 4, "cache_write_tokens": 3, "reasoning_tokens": 8, "output_tokens": 12,
}  # fmt: skip


def chat(*messages: Json, **fields: Any) -> Json:
    return {"messages": list(messages) or [{"role": "user", "content": "Hi"}], **fields}


def test_turns_alternate_and_results_go_to_the_user() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Bonn"}'}}]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    cached = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    body = sent(
        "anthropic", "chat",
        chat(
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": [cached, picture]},
            {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c", "content": "sunny"}, {"role": "user", "content": "So?"},
            tools=[TOOL], tool_choice="required", parallel_tool_calls=False, stop=["x"], max_tokens=9, user="u",
        ),
    )  # fmt: skip
    assert body == {
        "model": "claude-sonnet-4-5", "max_tokens": 9, "system": "Be brief.", "stop_sequences": ["x"],
        "metadata": {"user_id": "u"},
        "messages": [
            {"role": "user", "content": [
                cached, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c", "name": "weather", "input": {"place": "Bonn"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": "sunny"}, {"type": "text", "text": "So?"},
            ]},
        ],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }  # fmt: skip


def test_efforts_become_budgets_or_adaptive_thinking() -> None:
    body = sent("anthropic", "chat", chat(reasoning_effort="low", max_tokens=100))
    assert (body["thinking"], body["max_tokens"]) == ({"type": "enabled", "budget_tokens": 1024}, 2048)
    body = sent("anthropic", "chat", chat(reasoning_effort="low", max_tokens=100), most=50)
    assert "thinking" not in body, "a budget needs more room than the ceiling leaves"
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    newer = chat(reasoning_effort="high", max_tokens=100, response_format=schema)
    for model in ("claude-opus-4-6", "claude-sonnet-5", "claude-opus-4-7"):
        body = sent("anthropic", "chat", newer, model=model)
        assert body["thinking"]["type"] == "adaptive"
        assert body["max_tokens"] == 100
        assert body["output_config"] == {
            "format": {"type": "json_schema", "schema": {"type": "object"}},
            "effort": "high",
        }
    for model in ("claude-3-7-sonnet-20250219", "claude-opus-4-1-20250805", "claude-haiku-4-5@20251001"):
        assert sent("anthropic", "chat", newer, model=model)["thinking"]["type"] == "enabled"


def test_no_thinking_goes_on_after_results_whose_thoughts_are_gone() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    history = (
        {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    )  # fmt: skip
    assert "thinking" not in sent("anthropic", "chat", chat(*history, reasoning_effort="low"))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"n": 2}, "n"), ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logprobs": True}, "logprobs"), ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"response_format": {"type": "json_object"}}, "json_schema"), ({"tools": [{"type": "custom"}]}, "custom"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "allowed_tools"),
        ({"max_tokens": "9"}, "max_tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_named(fields: Json, word: str) -> None:
    with pytest.raises(Untranslatable, match=word):
        call("anthropic", "chat", chat(**fields))


def test_an_answer_and_its_disjoint_counts() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Hello."},
        {"type": "tool_use", "id": "c", "name": "weather", "input": {"place": "Bonn"}},
    ]  # fmt: skip
    given = {"id": "m", "type": "message", "content": content, "stop_reason": "tool_use", "usage": USAGE}
    row, found = answer(call("anthropic", "chat", chat()), given)
    message = row["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hello.", "Hm.")
    assert message["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"place":"Bonn"}'}
    assert row["usage"]["prompt_tokens"] == 17
    assert row["usage"]["prompt_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 3, "audio_tokens": 0}
    assert row["usage"]["completion_tokens_details"]["reasoning_tokens"] == 8
    assert found.usage is not None
    assert found.usage.quantities == METERS
    row, _ = answer(call("anthropic", "responses", {"input": "Hi"}), given)
    assert [item["type"] for item in row["output"]] == ["reasoning", "message", "function_call"]
    assert row["usage"]["input_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 3}


EARLY = {**USAGE, "output_tokens": 15, "output_tokens_details": None}
STREAM = sse(
    {"type": "message_start", "message": {"id": "m", "usage": EARLY}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello."}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "c", "name": "weather"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"pla'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": 'ce":1}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": USAGE},
    {"type": "message_stop"},
    named=True,
)  # fmt: skip


@pytest.mark.parametrize("size", [1, 13, 10_000])
def test_a_stream_for_a_chat_client(size: int) -> None:
    found, translator = streamed(call("anthropic", "chat", chat(stream=True)), STREAM, size)
    assert found.pop() == {}
    deltas = [each["choices"][0]["delta"] for each in found]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta["reasoning_content"] for delta in deltas if "reasoning_content" in delta] == ["Hm."]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert calls[0]["id"] == "c"
    assert "".join(each["function"]["arguments"] for each in calls) == '{"place":1}'
    assert found[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert translator.usage is not None
    assert (translator.usage.quantities, translator.usage.final) == (METERS, True)


def test_a_stream_of_messages_passes_untouched_and_is_counted() -> None:
    fields = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "stream": True}
    translator = call("anthropic", "messages", fields).stream()
    assert translator.feed(STREAM[:100]) + translator.feed(STREAM[100:]) + translator.end() == STREAM
    assert translator.usage is not None
    assert translator.usage.quantities == METERS
    assert translator.finished
    assert events(translator.fail("budget_exceeded", "over"))[0]["error"]["type"] == "rate_limit_error"


def test_messages_pass_as_they_are_but_for_model_and_ceiling() -> None:
    fields = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    same = call("anthropic", "messages", fields, model="m")
    assert same.request.body == asked("messages", fields).body
    assert sent("anthropic", "messages", fields, most=5)["max_tokens"] == 5
    assert "max_tokens" not in sent("anthropic", "count_tokens", {"messages": []}, most=5)
    assert (b"x-api-key", KEY.encode()) in same.request.headers
    error = {"type": "error", "error": {"type": "overloaded_error", "message": f"busy {KEY}"}}
    found = orjson.loads(same.error(529, orjson.dumps(error)).body)
    assert found["error"] == {"type": "overloaded_error", "message": "busy …"}
