"""What goes to providers that speak OpenAI's API, and what is counted of the answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from omni.contracts.wire import BadAnswer, Untranslatable
from tests.providers.support import KEY, PROVIDERS, Json, adapter, answer, asked, call, sent, sse, streamed

CHAT: Json = {"messages": [{"role": "user", "content": "Hi"}]}
MESSAGES: Json = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}
USAGE = {
    "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30,
    "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}  # fmt: skip


def completion(**message: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": USAGE}


def test_a_ceiling_has_the_name_that_its_provider_knows() -> None:
    assert sent("openai", "messages", MESSAGES, most=9)["max_completion_tokens"] == 9
    assert sent("openai", "responses", {"input": "Hi", "max_output_tokens": 8}, most=9)["max_output_tokens"] == 8
    elsewhere = replace(PROVIDERS["openai"], base_url="https://llm.example/v1", operations=frozenset(("chat",)))
    for operation, fields in (("messages", MESSAGES), ("responses", {"input": "Hi", "max_output_tokens": 50})):
        made = adapter("openai").call(elsewhere, KEY, "llama", asked(operation, fields))  # type: ignore[arg-type]
        body = orjson.loads(made.request.body)
        assert (body["max_tokens"], "max_completion_tokens" in body) == (50, False)


def test_top_k_goes_where_it_is_known() -> None:
    with pytest.raises(Untranslatable, match="top_k"):
        call("openai", "messages", {**MESSAGES, "top_k": 5})
    elsewhere = replace(PROVIDERS["openai"], base_url="https://llm.example/v1")
    made = adapter("openai").call(elsewhere, KEY, "llama", asked("messages", {**MESSAGES, "top_k": 5}))
    assert orjson.loads(made.request.body)["top_k"] == 5
    assert sent("gemini", "messages", {**MESSAGES, "top_k": 5})["generationConfig"]["topK"] == 5


def test_messages_become_a_chat() -> None:
    body = sent(
        "openai", "messages",
        {
            **MESSAGES, "system": "s", "stop_sequences": ["x"], "metadata": {"user_id": "u"}, "stream": True,
            "thinking": {"type": "enabled", "budget_tokens": 10_000}, "tool_choice": {"type": "tool", "name": "t"},
            "tools": [{"name": "t", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
        },
    )  # fmt: skip
    assert body == {
        "model": "gpt-5", "max_completion_tokens": 50, "stop": ["x"], "user": "u", "stream": True,
        "stream_options": {"include_usage": True}, "reasoning_effort": "high",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "t"}},
    }  # fmt: skip


def test_a_messages_client_sees_thoughts_only_when_it_asked() -> None:
    row, found = answer(call("openai", "messages", MESSAGES), completion(content="Hello.", reasoning_content="Hm."))
    assert [block["type"] for block in row["content"]] == ["text"]
    assert row["usage"] == {
        "input_tokens": 10, "output_tokens": 10, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 4,
    }  # fmt: skip
    assert found.usage is not None
    assert found.usage.quantities == {
        "cached_input_tokens": 6, "cache_write_tokens": 4, "input_tokens": 10, "reasoning_tokens": 3,
        "output_tokens": 7,
    }  # fmt: skip
    thinking = {**MESSAGES, "thinking": {"type": "adaptive"}}
    row, _ = answer(call("openai", "messages", thinking), completion(content="Hello.", reasoning_content="Hm."))
    assert [block["type"] for block in row["content"]] == ["thinking", "text"]


def test_a_stream_of_messages_has_its_events_in_order() -> None:
    def chunk(finish_reason: str | None = None, **delta: Any) -> Json:
        return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    def use(index: int, arguments: str, **more: Any) -> Json:
        return chunk(
            tool_calls=[
                {"index": index, "function": {"arguments": arguments, **more}, **({"id": f"c{index}"} if more else {})}
            ]
        )

    data = sse(
        chunk(role="assistant", content=""), chunk(reasoning_content="Hm."), chunk(content="Hel"), chunk(content="lo"),
        use(0, "", name="t"), use(0, '{"a"'), use(0, ":1}"), use(1, "", name="t"), use(1, "{}"),
        chunk("tool_calls"), {"id": "c", "choices": [], "usage": USAGE}, done=True,
    )  # fmt: skip
    fields = {**MESSAGES, "stream": True, "thinking": {"type": "adaptive"}}
    found, translator = streamed(call("openai", "messages", fields), data)
    shape = [(each["type"], each.get("index")) for each in found]
    assert shape == [
        ("message_start", None),
        ("content_block_start", 0), ("content_block_delta", 0), ("content_block_stop", 0),
        ("content_block_start", 1), ("content_block_delta", 1), ("content_block_delta", 1), ("content_block_stop", 1),
        ("content_block_start", 2), ("content_block_delta", 2), ("content_block_delta", 2), ("content_block_stop", 2),
        ("content_block_start", 3), ("content_block_delta", 3), ("content_block_stop", 3),
        ("message_delta", None), ("message_stop", None),
    ]  # fmt: skip
    assert found[-2]["delta"]["stop_reason"] == "tool_use"
    assert found[-2]["usage"]["output_tokens"] == 10
    assert translator.finished


def test_a_stream_of_a_response_has_its_events_in_order() -> None:
    chat_only = replace(PROVIDERS["openai"], operations=frozenset(("chat",)))
    made = adapter("openai").call(chat_only, KEY, "llama", asked("responses", {"input": "Hi", "stream": True}))
    piece = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}
    found, _ = streamed(made, sse(piece, {"id": "c", "choices": [], "usage": USAGE}, done=True))
    assert [each["type"] for each in found] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"


def test_pictures_are_counted_and_their_tokens_are_those_of_pictures() -> None:
    usage = {"input_tokens": 9, "input_tokens_details": {"text_tokens": 5, "image_tokens": 4}, "output_tokens": 100}
    made = call("openai", "images", {"prompt": "x", "n": 2})
    _, found = answer(made, {"created": 1, "data": [{"b64_json": "A"}, {"b64_json": "B"}], "usage": usage})
    assert found.usage is not None
    assert found.usage.quantities == {
        "images": 2, "input_image_tokens": 4, "input_tokens": 5, "output_image_tokens": 100,
    }  # fmt: skip
    _, found = answer(made, {"created": 1, "data": [{"url": "u"}]})
    assert found.usage is not None
    assert found.usage.quantities == {"images": 1}


@pytest.mark.parametrize(
    ("row", "quantities"),
    [
        ({"text": "x", "usage": {"type": "duration", "seconds": 3.5}}, {"audio_ms": 3500}),
        ({"text": "x", "duration": 2}, {"audio_ms": 2000}),
        (
            {"text": "x", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 5,
                                    "input_token_details": {"audio_tokens": 10, "text_tokens": 4}}},
            {"input_audio_tokens": 10, "input_tokens": 4, "output_tokens": 5},
        ),
        ({"text": "x"}, None),
    ],
)  # fmt: skip
def test_transcriptions(row: Json, quantities: dict[str, int] | None) -> None:
    _, found = answer(call("openai", "transcriptions", {}, model="m"), row)
    assert (found.usage.quantities if found.usage is not None else None) == quantities


def test_streams_of_transcriptions_end_by_their_own_event() -> None:
    done = {
        "type": "transcript.text.done",
        "text": "Hello",
        "usage": {"type": "tokens", "input_tokens": 4, "output_tokens": 2},
    }
    data = sse({"type": "transcript.text.delta", "delta": "Hello"}, done)
    translator = call("openai", "transcriptions", {"stream": True}, model="m").stream()
    assert translator.feed(data) + translator.end() == data
    assert (translator.finished, translator.text_bytes) == (True, 5)
    assert translator.usage is not None
    assert translator.usage.quantities == {"input_tokens": 4, "output_tokens": 2}


def test_streams_of_pictures_count_each() -> None:
    usage = {"input_tokens": 4, "output_tokens": 50}
    data = sse(
        {"type": "image_generation.partial_image", "b64_json": "A", "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": "B", "usage": usage},
    )
    translator = call("openai", "images", {"stream": True}, model="m").stream()
    assert translator.feed(data) + translator.end() == data
    assert translator.finished
    assert translator.usage is not None
    assert translator.usage.quantities == {"images": 1, "input_tokens": 4, "output_image_tokens": 50}


def test_a_chunk_of_another_shape_is_a_bad_answer() -> None:
    translator = call("openai", "chat", {**CHAT, "stream": True}).stream()
    with pytest.raises(BadAnswer):
        translator.feed(sse({"choices": [5]}))
