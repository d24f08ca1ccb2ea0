"""What Anthropic's Messages answer, whoever serves them: as chat completions and as usage."""

from __future__ import annotations

import time

import orjson

from omni.contracts import usage as meters
from omni.contracts.wire import BadAnswer, Usage
from omni.providers.formats import chat
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import SAID, read_row
from omni.providers.formats.sse import SseParser
from omni.providers.formats.streams import BaseWatcher
from omni.providers.formats.usage import count, disjoint, to_openai

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_METERS = {
    "input_tokens": meters.INPUT_TOKENS,
    "cache_read_input_tokens": meters.CACHED_INPUT_TOKENS,
    "cache_creation_input_tokens": meters.CACHE_WRITE_TOKENS,
    "output_tokens": meters.OUTPUT_TOKENS,
}
"""Anthropic's counts are disjoint already."""


def usage_of(row: object) -> Usage | None:
    """Usage of a whole message; None when it says nothing."""
    found = _counts(row)
    return Usage(found, final=True) if found else None


def _counts(row: object) -> dict[str, int]:
    if not isinstance(row, dict):
        return {}
    found = {meter: size for name, meter in _METERS.items() if (size := count(row.get(name)))}
    if (written := found.pop(meters.OUTPUT_TOKENS, 0)) != 0:
        found |= disjoint(written, {meters.REASONING_TOKENS: _thoughts(row)}, meters.OUTPUT_TOKENS)
    return found


def _thoughts(row: Json) -> int:
    """Tokens of thinking, which are part of the output."""
    details = row.get("output_tokens_details")
    return count(details.get("thinking_tokens")) if isinstance(details, dict) else 0


def to_completion(message: Json, model: str) -> Json:
    """A chat completion that says what a message says. Raises BadAnswer."""
    text, thinking, calls = "", "", []
    if not isinstance(message.get("content"), list):
        raise BadAnswer("no content in an answer")
    for block in SAID.objects(message, "content"):
        kind = block.get("type")
        if kind == "text":
            text += SAID.text(block, "text")
        elif kind == "thinking":
            thinking += SAID.text(block, "thinking")
        elif kind == "tool_use":
            arguments = orjson.dumps(SAID.object(block, "input")).decode()
            function = {"name": SAID.name(block, "name"), "arguments": arguments}
            calls.append({"id": SAID.name(block, "id"), "type": "function", "function": function})
    said: Json = {"role": "assistant", "content": text or None, "refusal": None}
    if thinking:
        said["reasoning_content"] = thinking
    if calls:
        said["tool_calls"] = calls
    reason = _FINISH_REASONS.get(SAID.text(message, "stop_reason"), "stop")
    return {
        "id": f"chatcmpl-{message.get('id')}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": reason}],
        "usage": to_openai(usage_of(message.get("usage"))),
    }


class _Counted:
    """Usage over a stream: counts are cumulative, and an event that leaves one out does not lower it."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._most: dict[str, int] = {}
        self._thoughts = 0

    def see(self, row: Json) -> None:
        kind = row.get("type")
        if kind == "message_start":
            message = row.get("message")
            self._raise(message.get("usage") if isinstance(message, dict) else None, final=False)
        elif kind == "message_delta":
            self._raise(row.get("usage"), final=True)

    def _raise(self, row: object, *, final: bool) -> None:
        if not isinstance(row, dict):
            return
        for name in _METERS:
            self._most[name] = max(self._most.get(name, 0), count(row.get(name)))
        self._thoughts = max(self._thoughts, _thoughts(row))
        found = _counts({**self._most, "output_tokens_details": {"thinking_tokens": self._thoughts}})
        if found:
            self.usage = Usage(found, final=final and type(row.get("output_tokens")) is int)


class MessagesWatcher(BaseWatcher):
    """Reads along with a stream of a message."""

    def __init__(self) -> None:
        super().__init__()
        self._counted = _Counted()

    def see(self, name: bytes, row: Json) -> bool:
        del name
        kind = row.get("type")
        if kind == "content_block_delta":
            self.text_bytes += _delta_bytes(row.get("delta"))
        elif kind == "message_stop":
            self.finished = True
        elif kind == "error":
            self.finished, self.failed = True, "error event"
        else:
            self._counted.see(row)
            self.usage = self._counted.usage
        return True


def _delta_bytes(delta: object) -> int:
    if not isinstance(delta, dict):
        return 0
    text = delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
    return len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else 0


class MessagesReader:
    """Reads a stream of a message into chunks."""

    def __init__(self, model: str) -> None:
        self._parser = SseParser()
        self._counted = _Counted()
        self._base: Json = {"id": "", "created": int(time.time()), "model": model}
        self._tools = -1
        self.finished = False
        self.failed: str | None = None

    @property
    def usage(self) -> Usage | None:
        return self._counted.usage

    def feed(self, data: bytes) -> list[Json]:
        chunks: list[Json] = []
        for event in self._parser.feed(data):
            chunks += self._read(read_row(event.data))
        return chunks

    def end(self) -> list[Json]:
        return []

    def _read(self, row: Json) -> list[Json]:
        self._counted.see(row)
        kind = row.get("type")
        if kind == "message_start":
            self._base["id"] = f"chatcmpl-{SAID.object(row, 'message').get('id')}"
            return [chat.chunk_of(self._base, {"role": "assistant", "content": ""})]
        if kind == "content_block_start":
            return self._start(SAID.object(row, "content_block"))
        if kind == "content_block_delta":
            return self._delta(SAID.object(row, "delta"))
        if kind == "message_delta":
            reason = SAID.text(SAID.object(row, "delta"), "stop_reason")
            return [chat.chunk_of(self._base, {}, _FINISH_REASONS.get(reason, "stop"))]
        if kind == "message_stop":
            self.finished = True
            return [chat.usage_chunk(self._base, to_openai(self.usage))]
        if kind == "error":
            self.failed = "error event"
            raise BadAnswer("an error inside the stream")
        return []

    def _start(self, block: Json) -> list[Json]:
        if block.get("type") != "tool_use":
            return []
        self._tools += 1
        function = {"name": SAID.name(block, "name"), "arguments": ""}
        call = {"index": self._tools, "id": SAID.name(block, "id"), "type": "function", "function": function}
        return [chat.chunk_of(self._base, {"tool_calls": [call]})]

    def _delta(self, delta: Json) -> list[Json]:
        kind = delta.get("type")
        if kind == "text_delta":
            return [chat.chunk_of(self._base, {"content": SAID.text(delta, "text")})]
        if kind == "thinking_delta":
            return [chat.chunk_of(self._base, {"reasoning_content": SAID.text(delta, "thinking")})]
        if kind == "input_json_delta":
            call = {"index": self._tools, "function": {"arguments": SAID.text(delta, "partial_json")}}
            return [chat.chunk_of(self._base, {"tool_calls": [call]})]
        return []
