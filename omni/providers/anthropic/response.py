"""What Anthropic answers, as chat completions and as usage."""

from __future__ import annotations

import time

import orjson

from omni.contracts import usage as meters
from omni.contracts.wire import BadAnswer, Usage
from omni.providers.formats import chat
from omni.providers.formats.pivot import Json
from omni.providers.formats.sse import SseParser
from omni.providers.formats.streams import Watcher
from omni.providers.formats.usage import count, to_openai

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
    return {meter: size for name, meter in _METERS.items() if (size := count(row.get(name)))}


def to_completion(message: Json, model: str) -> Json:
    """A chat completion that says what a message says."""
    text, thinking, calls = "", "", []
    for block in message["content"]:
        kind = block.get("type")
        if kind == "text":
            text += block.get("text", "")
        elif kind == "thinking":
            thinking += block.get("thinking", "")
        elif kind == "tool_use":
            arguments = orjson.dumps(block.get("input") or {}).decode()
            function = {"name": block.get("name"), "arguments": arguments}
            calls.append({"id": block.get("id"), "type": "function", "function": function})
    said: Json = {"role": "assistant", "content": text or None, "refusal": None}
    if thinking:
        said["reasoning_content"] = thinking
    if calls:
        said["tool_calls"] = calls
    reason = _FINISH_REASONS.get(message.get("stop_reason") or "", "stop")
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

    def see(self, row: Json) -> None:
        kind = row.get("type")
        if kind == "message_start":
            self._raise((row.get("message") or {}).get("usage"))
        elif kind == "message_delta":
            self._raise(row.get("usage"))
            if self.usage is not None and meters.OUTPUT_TOKENS in self.usage.quantities:
                self.usage.final = True

    def _raise(self, row: object) -> None:
        found = _counts(row)
        if not found:
            return
        known = self.usage.quantities if self.usage is not None else {}
        self.usage = Usage({meter: max(found.get(meter, 0), known.get(meter, 0)) for meter in {**known, **found}})


class MessagesWatcher(Watcher):
    """Reads along with a stream of a message."""

    def __init__(self) -> None:
        super().__init__()
        self._counted = _Counted()

    def see(self, name: bytes, row: Json) -> bool:
        del name
        kind = row.get("type")
        if kind == "content_block_delta":
            self.text_bytes += _delta_bytes(row.get("delta") or {})
        elif kind == "message_stop":
            self.finished = True
        elif kind == "error":
            self.finished, self.failed = True, "error event"
        else:
            self._counted.see(row)
            self.usage = self._counted.usage
        return True


def _delta_bytes(delta: Json) -> int:
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
            try:
                row = orjson.loads(event.data)
            except orjson.JSONDecodeError as error:
                raise BadAnswer(f"an event that is no JSON: {error}") from None
            chunks += self._read(row)
        return chunks

    def end(self) -> list[Json]:
        return []

    def _read(self, row: Json) -> list[Json]:
        self._counted.see(row)
        kind = row.get("type")
        if kind == "message_start":
            self._base["id"] = f"chatcmpl-{(row.get('message') or {}).get('id')}"
            return [chat.chunk_of(self._base, {"role": "assistant", "content": ""})]
        if kind == "content_block_start":
            return self._start(row.get("content_block") or {})
        if kind == "content_block_delta":
            return self._delta(row.get("delta") or {})
        if kind == "message_delta":
            reason = _FINISH_REASONS.get((row.get("delta") or {}).get("stop_reason") or "", "stop")
            return [chat.chunk_of(self._base, {}, reason)]
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
        function = {"name": block.get("name"), "arguments": ""}
        call = {"index": self._tools, "id": block.get("id"), "type": "function", "function": function}
        return [chat.chunk_of(self._base, {"tool_calls": [call]})]

    def _delta(self, delta: Json) -> list[Json]:
        kind = delta.get("type")
        if kind == "text_delta":
            return [chat.chunk_of(self._base, {"content": delta.get("text", "")})]
        if kind == "thinking_delta":
            return [chat.chunk_of(self._base, {"reasoning_content": delta.get("thinking", "")})]
        if kind == "input_json_delta":
            call = {"index": self._tools, "function": {"arguments": delta.get("partial_json", "")}}
            return [chat.chunk_of(self._base, {"tool_calls": [call]})]
        return []
