"""Anthropic's Messages, as clients speak them, to and from the pivot."""

from __future__ import annotations

from typing import Any

import orjson

from omni.contracts.wire import Untranslatable
from omni.kit.ids import uuid7
from omni.providers.formats.pivot import Json
from omni.providers.formats.sse import sse_event

_ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
    504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_PASSED = ("temperature", "top_p")
_UNKNOWN = ("mcp_servers", "container", "context_management")


def to_chat(fields: Json) -> Json:
    """A chat request that asks the same. Raises Untranslatable."""
    for name in _UNKNOWN:
        if fields.get(name):
            raise Untranslatable(f"This model cannot serve requests with {name}.")
    chat: Json = {"model": fields.get("model"), "messages": _messages(fields)}
    if fields.get("max_tokens") is not None:
        chat["max_tokens"] = fields["max_tokens"]
    for name in _PASSED:
        if fields.get(name) is not None:
            chat[name] = fields[name]
    if fields.get("stop_sequences"):
        chat["stop"] = fields["stop_sequences"]
    if isinstance(metadata := fields.get("metadata"), dict) and metadata.get("user_id"):
        chat["user"] = metadata["user_id"]
    if fields.get("stream"):
        chat["stream"] = True
    _tools(fields, chat)
    output = fields.get("output_config") or {}
    schema = output.get("format") or fields.get("output_format")
    if isinstance(schema, dict) and schema.get("type") == "json_schema":
        chat["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": schema.get("schema"), "strict": True},
        }
    return chat


def _tools(fields: Json, chat: Json) -> None:
    tools = []
    for tool in fields.get("tools") or ():
        if tool.get("type") not in (None, "custom"):
            raise Untranslatable(f"This model cannot use the tool {tool.get('type')}.")
        function = {"name": tool.get("name"), "parameters": tool.get("input_schema") or {"type": "object"}}
        if tool.get("description"):
            function["description"] = tool["description"]
        tools.append({"type": "function", "function": function})
    if tools:
        chat["tools"] = tools
    choice = fields.get("tool_choice")
    if isinstance(choice, dict):
        if choice.get("type") == "tool":
            chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
        elif choice.get("type") in _CHOICES:
            chat["tool_choice"] = _CHOICES[choice["type"]]
        if choice.get("disable_parallel_tool_use"):
            chat["parallel_tool_calls"] = False


def _messages(fields: Json) -> list[Json]:
    found: list[Json] = []
    system = fields.get("system")
    if system:
        found.append({"role": "system", "content": system if isinstance(system, str) else _joined(system)})
    for message in fields.get("messages") or ():
        content = message.get("content")
        if isinstance(content, str):
            found.append({"role": message.get("role"), "content": content})
        elif message.get("role") == "assistant":
            found.append(_assistant(content or []))
        else:
            found += _user(content or [])
    return found


def _joined(blocks: list[Json]) -> str:
    return "\n".join(block.get("text", "") for block in blocks if block.get("type") == "text")


def _assistant(blocks: list[Json]) -> Json:
    text, calls = "", []
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            text += block.get("text", "")
        elif kind == "tool_use":
            arguments = orjson.dumps(block.get("input") or {}).decode()
            call = {"name": block.get("name"), "arguments": arguments}
            calls.append({"id": block.get("id"), "type": "function", "function": call})
        elif kind not in ("thinking", "redacted_thinking"):
            raise Untranslatable(f"This model cannot read content of type {kind}.")
    message: Json = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = calls
    return message


def _user(blocks: list[Json]) -> list[Json]:
    """Results of tools first, each a message of its own, then what the user says."""
    results: list[Json] = []
    parts: list[Json] = []
    for block in blocks:
        kind = block.get("type")
        if kind == "tool_result":
            content = block.get("content") or ""
            text = content if isinstance(content, str) else _joined(content)
            results.append({"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text})
            if not isinstance(content, str):
                parts += [_part(each) for each in content if each.get("type") == "image"]
        else:
            parts.append(_part(block))
    if len(parts) == 1 and parts[0]["type"] == "text":
        return [*results, {"role": "user", "content": parts[0]["text"]}]
    return [*results, {"role": "user", "content": parts}] if parts else results


def _part(block: Json) -> Json:
    kind, source = block.get("type"), block.get("source") or {}
    if kind == "text":
        return {"type": "text", "text": block.get("text", "")}
    if kind == "image" and source.get("type") == "base64":
        return {
            "type": "image_url",
            "image_url": {"url": f"data:{source.get('media_type')};base64,{source.get('data')}"},
        }
    if kind == "image" and source.get("type") == "url":
        return {"type": "image_url", "image_url": {"url": source.get("url")}}
    if kind == "document" and source.get("type") == "text":
        return {"type": "text", "text": source.get("data", "")}
    raise Untranslatable(f"This model cannot read content of type {kind}.")


def from_completion(completion: Json, model: str) -> Json:
    """A message that says what a chat completion says."""
    choice = completion["choices"][0]
    message = choice.get("message") or {}
    content: list[Json] = []
    if text := message.get("content") or message.get("refusal"):
        content.append({"type": "text", "text": text})
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        content.append(
            {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": _arguments(function)}
        )
    return {
        "id": f"msg_{uuid7().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": _STOP_REASONS.get(choice.get("finish_reason"), "end_turn"),
        "stop_sequence": None,
        "usage": usage_of(completion.get("usage")),
    }


def _arguments(function: Json) -> Any:
    try:
        return orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        return {}


def usage_of(usage: object) -> Json:
    """Anthropic's usage object from a chat completion's."""
    row: Json = usage if isinstance(usage, dict) else {}
    details = row.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or 0
    return {
        "input_tokens": max(0, (row.get("prompt_tokens") or 0) - cached),
        "output_tokens": row.get("completion_tokens") or 0,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
    }


def error_body(status: int, message: str, code: str = "") -> bytes:
    """An error in Anthropic's shape."""
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    error: Json = {"type": kind, "message": message or f"The model's provider refused the request (status {status})."}
    if code:
        error["code"] = code
    return orjson.dumps({"type": "error", "error": error})


def error_event(code: str, message: str) -> bytes:
    """An error inside a stream, which ends it."""
    kind = "rate_limit_error" if code == "budget_exceeded" else "api_error"
    error = {"type": "error", "error": {"type": kind, "message": message, "code": code}}
    return sse_event(orjson.dumps(error), b"error")


class MessagesWriter:
    """Writes chunks as the events of a message."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._begun = False
        self._open: tuple[str, int] | None = None
        self._index = -1
        self._stop_reason = "end_turn"
        self._usage: object = None

    def write(self, chunk: Json) -> bytes:
        out = b"" if self._begun else self._begin()
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if text := delta.get("content") or delta.get("refusal"):
                out += self._block("text", 0, {"type": "text", "text": ""})
                out += self._delta({"type": "text_delta", "text": text})
            for call in delta.get("tool_calls") or ():
                out += self._call(call)
            if choice.get("finish_reason"):
                self._stop_reason = _STOP_REASONS.get(choice["finish_reason"], "end_turn")
        return out

    def end(self) -> bytes:
        out = (b"" if self._begun else self._begin()) + self._close()
        usage = usage_of(self._usage)
        delta = {"stop_reason": self._stop_reason, "stop_sequence": None}
        out += _event("message_delta", {"delta": delta, "usage": usage})
        return out + _event("message_stop", {})

    def error(self, code: str, message: str) -> bytes:
        return error_event(code, message)

    def _begin(self) -> bytes:
        self._begun = True
        message: Json = {
            "id": f"msg_{uuid7().hex}", "type": "message", "role": "assistant", "model": self._model, "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": usage_of(None),
        }  # fmt: skip
        return _event("message_start", {"message": message})

    def _call(self, call: Json) -> bytes:
        function = call.get("function") or {}
        out = b""
        if call.get("id") or self._open != ("tool", call.get("index", 0)):
            block: Json = {
                "type": "tool_use",
                "id": call.get("id") or "",
                "name": function.get("name") or "",
                "input": {},
            }
            out = self._block("tool", call.get("index", 0), block)
        if arguments := function.get("arguments"):
            out += self._delta({"type": "input_json_delta", "partial_json": arguments})
        return out

    def _block(self, kind: str, number: int, block: Json) -> bytes:
        if self._open == (kind, number):
            return b""
        out = self._close()
        self._open = (kind, number)
        self._index += 1
        return out + _event("content_block_start", {"index": self._index, "content_block": block})

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event("content_block_stop", {"index": self._index})


def _event(kind: str, members: Json) -> bytes:
    return sse_event(orjson.dumps({"type": kind, **members}), kind.encode("ascii"))
