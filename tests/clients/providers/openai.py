"""A provider that answers as OpenAI's API does (platform.openai.com/docs), with fixed words and counts."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

from tests.clients.providers.http import Json, binary, fields_of, stream, whole
from tests.gateway.support import Received

TEXT = "Hello from OpenAI."
PICTURE_TEXT = "A red square."
CITY = '{"city":"Bonn","degrees":21}'
USAGE: Json = {
    "prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 3, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
    },
}  # fmt: skip
METERS = {"requests": 1, "cached_input_tokens": 4, "input_tokens": 15, "reasoning_tokens": 3, "output_tokens": 7}
CALLS = [("call_a1", "weather", '{"place":"Bonn"}'), ("call_b2", "weather", '{"place":"Rome"}')]
VECTORS = [[0.25, -0.5, 1.0], [2.0, 0.125, -4.0]]
EMBEDDED_TOKENS = 8
AUDIO = b"ID3\x04" + bytes(range(256))
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n picture").decode()
IMAGE_USAGE: Json = {
    "total_tokens": 110, "input_tokens": 10, "output_tokens": 100,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
}  # fmt: skip
TRANSCRIBED = "Good morning."
RESPONSE_USAGE: Json = {
    "input_tokens": 19, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 10,
    "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 29,
}  # fmt: skip


async def answer(request: Received, path: str, writer: asyncio.StreamWriter) -> None:
    """Answers a request below `/v1`."""
    fields = fields_of(request)
    if path == "/chat/completions":
        await _chat(fields, writer)
    elif path == "/responses":
        await _responses(fields, writer)
    elif path == "/completions":
        await _completions(fields, writer)
    elif path == "/audio/transcriptions" and b"true" in request.body and b'name="stream"' in request.body:
        usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 3, "total_tokens": 17}
        pieces = [{"type": "transcript.text.delta", "delta": piece} for piece in ("Good ", "morning.")]
        await stream(writer, *pieces, {"type": "transcript.text.done", "text": TRANSCRIBED, "usage": usage})
    else:
        writer.write(_whole(path, fields))


def _whole(path: str, fields: Json) -> bytes:
    if path == "/embeddings":
        return whole(_embeddings(fields))
    if path in ("/images/generations", "/images/edits"):
        return whole({"created": 1_760_000_000, "data": [{"b64_json": PNG}], "usage": IMAGE_USAGE})
    if path in ("/audio/transcriptions", "/audio/translations"):
        return whole({"text": TRANSCRIBED, "usage": {"type": "duration", "seconds": 2}})
    if path == "/audio/speech":
        return binary(AUDIO, "audio/mpeg")
    if path == "/moderations":
        flagged = "kill" in str(fields["input"])
        result = {"flagged": flagged, "categories": {"violence": flagged}, "category_scores": {"violence": 0.9}}
        return whole({"id": "modr-1", "model": "omni-moderation-latest", "results": [result]})
    return whole({"error": {"message": f"Unknown path {path}", "type": "invalid_request_error"}}, 404)


def message_of(fields: Json) -> tuple[Json, str]:
    """The message that answers a chat, and its finish reason."""
    messages = fields["messages"]
    if fields.get("tools") and messages[-1]["role"] == "user":
        calls = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in CALLS
        ]
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}, "tool_calls"
    text = TEXT
    if fields.get("response_format", {}).get("type") == "json_schema":
        text = CITY
    elif "image_url" in str(messages[-1]["content"]):
        text = PICTURE_TEXT
    elif messages[-1]["role"] == "tool":
        text = f"The tool said {messages[-1]['content']}."
    said: Json = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if fields.get("reasoning_effort"):
        said["reasoning_content"] = "Thinking about it."
    return said, "stop"


async def _chat(fields: Json, writer: asyncio.StreamWriter) -> None:
    base: Json = {"id": "chatcmpl-abc", "created": 1_760_000_000, "model": f"{fields['model']}-2026-08-01"}
    message, reason = message_of(fields)
    if not fields.get("stream"):
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        writer.write(whole({**base, "object": "chat.completion", "choices": [choice], "usage": USAGE}))
        return
    base |= {"object": "chat.completion.chunk", "system_fingerprint": "fp_1"}

    def piece(delta: Json, finish_reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**base, "choices": [choice]}

    rows = [piece({"role": "assistant", "content": "" if message["content"] else None, "refusal": None})]
    if message.get("reasoning_content"):
        rows.append(piece({"reasoning_content": message["reasoning_content"]}))
    rows += [piece({"content": word}) for word in _words(message["content"] or "")]
    for index, call in enumerate(message.get("tool_calls") or ()):
        head = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
        rows.append(piece({"tool_calls": [head]}))
        arguments = call["function"]["arguments"]
        for part in (arguments[:5], arguments[5:]):
            rows.append(piece({"tool_calls": [{"index": index, "function": {"arguments": part}}]}))
    rows.append(piece({}, reason))
    if (fields.get("stream_options") or {}).get("include_usage"):
        rows.append({**base, "choices": [], "usage": USAGE})
    await stream(writer, *rows, done=True)


async def _completions(fields: Json, writer: asyncio.StreamWriter) -> None:
    base: Json = {"id": "cmpl-1", "object": "text_completion", "created": 1_760_000_000, "model": fields["model"]}

    def piece(text: str, reason: str | None) -> Json:
        return {**base, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}]}

    if not fields.get("stream"):
        writer.write(whole({**piece(TEXT, "stop"), "usage": USAGE}))
        return
    rows = [piece(word, None) for word in _words(TEXT)]
    await stream(writer, *rows, piece("", "stop"), {**base, "choices": [], "usage": USAGE}, done=True)


async def _responses(fields: Json, writer: asyncio.StreamWriter) -> None:
    item: Json
    if fields.get("tools") and isinstance(fields["input"], str):
        call_id, name, arguments = CALLS[0]
        item = {
            "id": "fc_1", "type": "function_call", "status": "completed", "call_id": call_id, "name": name,
            "arguments": arguments,
        }  # fmt: skip
    else:
        text = CITY if fields.get("text", {}).get("format") else TEXT
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    response: Json = {
        "id": "resp_1", "object": "response", "created_at": 1_760_000_000, "status": "completed", "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "model": fields["model"], "output": [item],
        "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": fields.get("tools") or [],
        "top_p": 1.0, "usage": RESPONSE_USAGE,
    }  # fmt: skip
    if fields.get("stream"):
        await stream(writer, *_response_events(response, item), named=True)
    else:
        writer.write(whole(response))


def _response_events(response: Json, item: Json) -> list[Json]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    rows: list[Json] = [{"type": "response.created", "response": begun}]
    if item["type"] == "message":
        part, where = item["content"][0], {"item_id": item["id"], "output_index": 0, "content_index": 0}
        shown = {**item, "status": "in_progress", "content": []}
        rows.append({"type": "response.output_item.added", "output_index": 0, "item": shown})
        rows.append({"type": "response.content_part.added", **where, "part": {**part, "text": ""}})
        rows += [
            {"type": "response.output_text.delta", **where, "delta": word, "logprobs": []}
            for word in _words(part["text"])
        ]
        rows.append({"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []})
        rows.append({"type": "response.content_part.done", **where, "part": part})
    else:
        where = {"item_id": item["id"], "output_index": 0}
        rows.append({"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}})
        rows.append({"type": "response.function_call_arguments.delta", **where, "delta": item["arguments"]})
        done = {"arguments": item["arguments"], "name": item["name"]}
        rows.append({"type": "response.function_call_arguments.done", **where, **done})
    rows.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    rows.append({"type": "response.completed", "response": response})
    return [{**row, "sequence_number": number} for number, row in enumerate(rows)]


def _embeddings(fields: Json) -> Json:
    given = fields["input"]
    texts = [given] if isinstance(given, str) else given

    def vector(values: list[float]) -> Any:
        if fields.get("encoding_format") == "base64":
            return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
        return values

    data = [{"object": "embedding", "index": index, "embedding": vector(VECTORS[index])} for index in range(len(texts))]
    usage = {"prompt_tokens": EMBEDDED_TOKENS, "total_tokens": EMBEDDED_TOKENS}
    return {"object": "list", "data": data, "model": fields["model"], "usage": usage}


def _words(text: str) -> list[str]:
    return [text[at : at + 6] for at in range(0, len(text), 6)]
