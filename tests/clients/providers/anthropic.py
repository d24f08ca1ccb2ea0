"""A provider that answers as Anthropic's API does (platform.claude.com/docs/en/api), with fixed words and counts."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from tests.clients.providers.http import Json, fields_of, stream, text_of, whole
from tests.gateway.support import Received

TEXT = "Hello from Anthropic."
PICTURE_TEXT = "A blue circle."
CITY = '{"city":"Bonn","degrees":21}'
THOUGHTS = "Let me think."
USAGE: Json = {
    "input_tokens": 12, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 30,
    "output_tokens_details": {"thinking_tokens": 9}, "service_tier": "standard",
}  # fmt: skip
METERS = {
    "requests": 1, "input_tokens": 12, "cache_write_tokens": 5, "cached_input_tokens": 3, "reasoning_tokens": 9,
    "output_tokens": 21,
}  # fmt: skip
CALLS: list[tuple[str, str, Json]] = [
    ("toolu_1", "weather", {"place": "Bonn"}), ("toolu_2", "weather", {"place": "Rome"}),
]  # fmt: skip
COUNTED = 42
_EMPTY: dict[str, Json] = {
    "text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}},
}  # fmt: skip


async def answer(request: Received, path: str, writer: asyncio.StreamWriter) -> None:
    """Answers a request below `/v1`."""
    fields = fields_of(request)
    if "x-api-key" not in request.headers or request.headers.get("anthropic-version") != "2023-06-01":
        error = {"type": "authentication_error", "message": "x-api-key or anthropic-version is missing"}
        writer.write(whole({"type": "error", "error": error}, 401))
    elif path == "/messages/count_tokens":
        writer.write(whole({"input_tokens": COUNTED}))
    elif fields.get("stream"):
        await stream(writer, *_events(fields), named=True)
    else:
        content, reason = _content(fields)
        writer.write(whole({**_message(fields), "content": content, "stop_reason": reason, "usage": USAGE}))


def _message(fields: Json) -> Json:
    usage = {**USAGE, "output_tokens": 1, "output_tokens_details": None}
    return {
        "id": "msg_01", "type": "message", "role": "assistant", "model": fields["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def _content(fields: Json) -> tuple[list[Json], str]:
    last: Any = fields["messages"][-1]["content"]
    blocks: list[Json] = []
    if fields.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        blocks.append({"type": "thinking", "thinking": THOUGHTS, "signature": "c2lnbmVk"})
    if fields.get("tools") and "tool_result" not in str(last):
        uses = [{"type": "tool_use", "id": each, "name": name, "input": given} for each, name, given in CALLS]
        return [*blocks, {"type": "text", "text": "I will look."}, *uses], "tool_use"
    text = TEXT
    if fields.get("output_config", {}).get("format"):
        text = CITY
    elif "'type': 'image'" in str(last):
        text = PICTURE_TEXT
    elif "tool_result" in str(last):
        text = f"The tool said {text_of(last[0]['content'])}."
    return [*blocks, {"type": "text", "text": text}], "end_turn"


def _events(fields: Json) -> list[Json]:
    content, reason = _content(fields)
    rows: list[Json] = [{"type": "message_start", "message": _message(fields)}, {"type": "ping"}]
    for index, block in enumerate(content):
        kind = block["type"]
        empty = _EMPTY[kind]
        rows.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        rows += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in _deltas(block)]
        rows.append({"type": "content_block_stop", "index": index})
    rows.append({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": USAGE})
    return [*rows, {"type": "message_stop"}]


def _deltas(block: Json) -> list[Json]:
    if block["type"] == "text":
        return [{"type": "text_delta", "text": piece} for piece in _halves(block["text"])]
    if block["type"] == "thinking":
        thoughts = {"type": "thinking_delta", "thinking": block["thinking"]}
        return [thoughts, {"type": "signature_delta", "signature": block["signature"]}]
    arguments = orjson.dumps(block["input"]).decode()
    return [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *_halves(arguments))]


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]
