"""Chat, Messages and Responses at Gemini, and what comes back."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from typing import Any

import orjson
import pytest

from omni.contracts.wire import BadAnswer, Untranslatable
from tests.providers.support import KEY, PROVIDERS, Json, adapter, answer, call, sent, sse, streamed

PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Of a place.", "parameters": PARAMETERS},
}
USAGE = {
    "promptTokenCount": 100, "cachedContentTokenCount": 30, "candidatesTokenCount": 20, "thoughtsTokenCount": 7,
    "totalTokenCount": 127,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "IMAGE", "tokenCount": 40}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "IMAGE", "tokenCount": 10}],
}  # fmt: skip


def says(*parts: Json, reason: str | None = "STOP", **more: Any) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "gemini-3-pro", "responseId": "r1", **more}


def chat(*messages: Json, **fields: Any) -> Json:
    return {"messages": list(messages) or [{"role": "user", "content": "Hi"}], **fields}


def test_a_chat_goes_to_generate_content_with_the_key_in_its_header() -> None:
    made = call("gemini", "chat", chat())
    assert made.request.path == b"/models/gemini-3-pro:generateContent"
    assert (b"x-goog-api-key", KEY.encode()) in made.request.headers
    assert orjson.loads(made.request.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    streaming = call("gemini", "chat", chat(stream=True))
    assert streaming.request.path == b"/models/gemini-3-pro:streamGenerateContent?alt=sse"


def test_what_a_provider_serves() -> None:
    gemini = PROVIDERS["gemini"]
    supports = adapter("gemini").supports
    assert supports(gemini, "embeddings")
    assert not supports(gemini, "speech")
    narrow = replace(gemini, operations=frozenset(("chat",)))
    assert supports(narrow, "messages")
    assert not supports(narrow, "embeddings")


def test_every_parameter_has_its_place() -> None:
    body = sent(
        "gemini", "chat",
        chat(
            {"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Really."},
            {"role": "user", "content": "Hi"},
            temperature=0.2, top_p=0.9, n=2, seed=3, presence_penalty=0.1, frequency_penalty=0.2, stop="END",
            max_completion_tokens=50,
        ),
    )  # fmt: skip
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief.\n\nReally."}]}
    assert body["generationConfig"] == {
        "temperature": 0.2, "topP": 0.9, "candidateCount": 2, "seed": 3, "presencePenalty": 0.1,
        "frequencyPenalty": 0.2, "maxOutputTokens": 50, "stopSequences": ["END"],
    }  # fmt: skip
    assert sent("gemini", "chat", chat(max_tokens=50), most=10)["generationConfig"]["maxOutputTokens"] == 10
    assert sent("gemini", "chat", chat(), most=10)["generationConfig"]["maxOutputTokens"] == 10


def test_pictures_sound_and_files() -> None:
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.jpg?c=1"}},
        {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,CCCC", "filename": "a.pdf"}},
    ]
    (content,) = sent("gemini", "chat", chat({"role": "user", "content": parts}))["contents"]
    assert content["parts"] == [
        {"text": "What?"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://a.example/b.jpg?c=1", "mimeType": "image/jpeg"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "BBBB"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "CCCC"}},
    ]


def test_tools_go_out_and_their_results_find_their_calls() -> None:
    messages = (
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant", "content": None,
            "tool_calls": [
                {
                    "id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Bonn"}'},
                    "extra_content": {"google": {"thought_signature": "SIGN"}},
                },
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Rome"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"degrees":20}'},
        {"role": "tool", "tool_call_id": "c2", "content": "sunny"},
    )  # fmt: skip
    choice = {"type": "function", "function": {"name": "weather"}}
    body = sent("gemini", "chat", chat(*messages, tools=[WEATHER], tool_choice=choice))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Of a place.",
                    "parametersJsonSchema": PARAMETERS,
                }
            ]
        }
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"place": "Bonn"}},
                    "thoughtSignature": "SIGN",
                },
                {"functionCall": {"id": "c2", "name": "weather", "args": {"place": "Rome"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"degrees": 20}}},
                {"functionResponse": {"id": "c2", "name": "weather", "response": {"output": "sunny"}}},
            ],
        },
    ]


def test_a_call_without_a_signature_says_so_where_one_is_demanded() -> None:
    history = (
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "weather", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    )
    part = sent("gemini", "chat", chat(*history))["contents"][1]["parts"][0]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"
    older = sent("gemini", "chat", chat(*history), model="gemini-2.5-pro")["contents"][1]["parts"][0]
    assert "thoughtSignature" not in older


@pytest.mark.parametrize(("choice", "mode"), [("auto", "AUTO"), ("required", "ANY"), ("none", "NONE")])
def test_choices_of_tools(choice: str, mode: str) -> None:
    body = sent("gemini", "chat", chat(tools=[WEATHER], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    config = sent("gemini", "chat", chat(response_format=form))["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": schema}
    config = sent("gemini", "chat", chat(response_format={"type": "json_object"}))["generationConfig"]
    assert config == {"responseMimeType": "application/json"}
    text = {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}}
    config = sent("gemini", "responses", {"input": "Hi", "text": text})["generationConfig"]
    assert config["responseJsonSchema"] == schema
    output = {"format": {"type": "json_schema", "schema": schema}}
    messages = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "output_config": output}
    assert sent("gemini", "messages", messages)["generationConfig"]["responseJsonSchema"] == schema


def test_efforts_become_levels_or_budgets() -> None:
    thinking = sent("gemini", "chat", chat(reasoning_effort="low"))["generationConfig"]["thinkingConfig"]
    assert thinking == {"thinkingLevel": "LOW", "includeThoughts": True}
    older = sent("gemini", "chat", chat(reasoning_effort="none"), model="gemini-2.5-flash")
    assert older["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 0, "includeThoughts": False}
    asked = {"type": "enabled", "budget_tokens": 5000}
    fields = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9000, "thinking": asked}
    body = sent("gemini", "messages", fields, model="gemini-2.5-flash")
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 8192


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"tools": [WEATHER], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "custom"),
        ({"tools": [WEATHER], "tool_choice": "maybe"}, "tool_choice"),
        ({"reasoning_effort": "huge"}, "huge"),
        ({"response_format": {"type": "grammar"}}, "grammar"),
        ({"messages": [{"role": "function", "content": "x"}]}, "function"),
        ({"messages": [{"role": "tool", "tool_call_id": "no", "content": "x"}]}, "no"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "video"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}]}, "data"),
    ],
)
def test_what_cannot_be_said_is_named(fields: Json, word: str) -> None:
    with pytest.raises(Untranslatable, match=word):
        call("gemini", "chat", {**chat(), **fields})


def test_an_answer_with_thoughts_calls_and_usage() -> None:
    thought = {"text": "Hm.", "thought": True}
    function = {"functionCall": {"id": "f1", "name": "weather", "args": {"place": "Bonn"}}, "thoughtSignature": "S"}
    row, found = answer(
        call("gemini", "chat", chat()), says(thought, {"text": "Hello."}, function, usageMetadata=USAGE)
    )
    message = row["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hello.", "Hm.")
    assert message["tool_calls"] == [
        {
            "id": "f1", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Bonn"}'},
            "extra_content": {"google": {"thought_signature": "S"}},
        }
    ]  # fmt: skip
    assert row["choices"][0]["finish_reason"] == "tool_calls"
    assert row["usage"]["prompt_tokens"] == 100
    assert row["usage"]["completion_tokens"] == 27
    assert found.usage is not None
    assert found.usage.quantities == {
        "cached_input_tokens": 30, "input_image_tokens": 30, "input_tokens": 40, "output_tokens": 20,
        "reasoning_tokens": 7,
    }  # fmt: skip


def test_several_candidates_pictures_and_sound() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    two = says({"text": "a"})
    two["candidates"].append({"content": {"parts": [picture]}, "finishReason": "MAX_TOKENS", "index": 1})
    details = [{"modality": "IMAGE", "tokenCount": 8}, {"modality": "AUDIO", "tokenCount": 3}]
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 12, "candidatesTokensDetails": details}
    row, found = answer(call("gemini", "chat", chat(n=2)), {**two, "usageMetadata": usage})
    assert [(each["index"], each["finish_reason"]) for each in row["choices"]] == [(0, "stop"), (1, "length")]
    assert row["choices"][1]["message"]["images"][0]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert found.usage is not None
    assert found.usage.quantities == {
        "input_tokens": 5, "output_audio_tokens": 3, "output_image_tokens": 8, "output_tokens": 1,
    }  # fmt: skip


def test_what_a_filter_held_back() -> None:
    row, found = answer(
        call("gemini", "chat", chat()),
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}},
    )
    assert row["choices"][0]["finish_reason"] == "content_filter"
    assert "SAFETY" in row["choices"][0]["message"]["refusal"]
    assert found.usage is not None
    assert found.usage.quantities == {"input_tokens": 4}
    row, _ = answer(call("gemini", "chat", chat()), says(reason="PROHIBITED_CONTENT"))
    assert row["choices"][0]["finish_reason"] == "content_filter"
    events, translator = streamed(
        call("gemini", "chat", chat(stream=True)), sse({"promptFeedback": {"blockReason": "SAFETY"}})
    )
    assert translator.finished
    assert events[1]["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize("row", [{}, {"candidates": []}, says(reason="MALFORMED_FUNCTION_CALL"), says({"text": 5})])
def test_an_answer_that_is_none(row: Json) -> None:
    with pytest.raises(BadAnswer):
        answer(call("gemini", "chat", chat()), row)


def test_a_stream_becomes_chunks() -> None:
    function = {"functionCall": {"name": "weather", "args": {"place": "Bonn"}}}
    data = sse(
        says({"text": "Hm.", "thought": True}, reason=None, usageMetadata={"promptTokenCount": 100}),
        says({"text": "Hel"}, reason=None, usageMetadata={"promptTokenCount": 100, "candidatesTokenCount": 1}),
        says({"text": "lo"}, function, function, reason=None),
        says({"text": ""}, usageMetadata=USAGE),
    )
    made = call("gemini", "chat", chat(stream=True, stream_options={"include_usage": True}))
    events, translator = streamed(made, data)
    assert events.pop() == {}
    assert events[0]["id"] == "chatcmpl-r1"
    deltas = [each["choices"][0]["delta"] for each in events[:-1]]
    assert deltas[1] == {"reasoning_content": "Hm."}
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello"
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [(each["index"], each["function"]["arguments"]) for each in calls] == [
        (0, '{"place":"Bonn"}'),
        (1, '{"place":"Bonn"}'),
    ]
    assert events[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert events[-1]["usage"]["total_tokens"] == 127
    assert translator.finished
    assert translator.usage is not None
    assert translator.usage.final
    assert translator.usage.quantities["reasoning_tokens"] == 7
    assert translator.text_bytes == 3 + 5 + 2 * 16


def test_a_stream_that_is_cut_or_fails() -> None:
    made = call("gemini", "chat", chat(stream=True))
    events, translator = streamed(made, sse(says({"text": "Hel"}, reason=None, usageMetadata={"promptTokenCount": 1})))
    assert not translator.finished
    assert {} not in events
    assert translator.usage is not None
    assert not translator.usage.final
    broken = [{"error": {"code": 503, "message": "overloaded"}}, says(reason="MALFORMED_RESPONSE"), {"candidates": 5}]
    for row in broken:
        with pytest.raises(BadAnswer):
            made.stream().feed(sse(row))


def test_messages_clients_get_messages() -> None:
    fields = {
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "weather", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]},
        ],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    }
    body = sent("gemini", "messages", fields)
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"output": "sunny"}
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY"}
    row, _ = answer(call("gemini", "messages", fields), says({"text": "Sun."}, usageMetadata=USAGE))
    assert row["content"] == [{"type": "text", "text": "Sun."}]
    assert row["stop_reason"] == "end_turn"
    assert row["usage"] == {
        "input_tokens": 70, "output_tokens": 27, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 0,
    }  # fmt: skip


def test_responses_clients_get_responses() -> None:
    thought = {"text": "Hm.", "thought": True}
    events, _ = streamed(
        call("gemini", "responses", {"input": "Hi", "stream": True}),
        sse(says(thought, {"text": "Hello"}, usageMetadata=USAGE)),
    )
    kinds = [each["type"] for each in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    done = events[-1]["response"]
    assert [item["type"] for item in done["output"]] == ["reasoning", "message"]
    assert done["usage"]["output_tokens_details"] == {"reasoning_tokens": 7}
    assert [each["sequence_number"] for each in events] == list(range(len(events)))


def test_errors_keep_their_words_and_a_refused_key_is_ours() -> None:
    made = call("gemini", "chat", chat())
    body = orjson.dumps({"error": {"code": 400, "message": f"bad {KEY}", "status": "INVALID_ARGUMENT"}})
    assert orjson.loads(made.error(400, body).body)["error"]["message"] == "bad …"
    refused = {"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}
    with pytest.raises(BadAnswer, match="key"):
        made.error(400, orjson.dumps(refused))


@pytest.mark.parametrize("form", [None, "float", "base64"])
def test_embeddings(form: str | None) -> None:
    fields: Json = {"input": ["a", "b"], "dimensions": 2} | ({"encoding_format": form} if form else {})
    made = call("gemini", "embeddings", fields, model="gemini-embedding-001")
    assert made.request.path == b"/models/gemini-embedding-001:batchEmbedContents"
    assert orjson.loads(made.request.body)["requests"][1] == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "b"}]},
        "outputDimensionality": 2,
    }
    row, found = answer(made, {"embeddings": [{"values": [0.5, 1]}, {"values": [2, -1.5]}]})
    assert found.usage is None, "it gives none"
    second = row["data"][1]["embedding"]
    assert (list(struct.unpack("<2f", base64.b64decode(second))) if form == "base64" else second) == [2, -1.5]
    for lie in ({}, {"embeddings": [{"values": [1]}]}, {"embeddings": [{"values": "x"}, {"values": [1]}]}):
        with pytest.raises(BadAnswer):
            answer(made, lie)
    with pytest.raises(Untranslatable):
        call("gemini", "embeddings", {"input": [[1, 2]]})


def test_counts_of_tokens() -> None:
    fields = {"messages": [{"role": "user", "content": "Hi"}], "system": "Be brief."}
    made = call("gemini", "count_tokens", fields)
    assert made.request.path == b"/models/gemini-3-pro:countTokens"
    body = orjson.loads(made.request.body)["generateContentRequest"]
    assert body["model"] == "models/gemini-3-pro"
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert answer(made, {"totalTokens": 9})[0] == {"input_tokens": 9}
