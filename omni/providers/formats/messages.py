"""Anthropic's Messages, as clients speak them, to and from the pivot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from omni.contracts.wire import Untranslatable
from omni.kit.ids import uuid7
from omni.providers.formats.chat import first_choice
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import ASKED, SAID, write
from omni.providers.formats.sse import sse_event
from omni.providers.formats.usage import count

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
_PASSED = ("temperature", "top_p", "top_k")
_BUDGETS = ((2048, "low"), (8192, "medium"))
"""Tokens of thinking up to which an effort of OpenAI's goes."""
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
    if stop := ASKED.texts(fields, "stop_sequences"):
        chat["stop"] = stop
    if user := ASKED.text(ASKED.object(fields, "metadata"), "user_id"):
        chat["user"] = user
    if fields.get("stream"):
        chat["stream"] = True
    _tools(fields, chat)
    _output(fields, chat)
    return chat


def wants_thinking(fields: Mapping[str, Any]) -> bool:
    """Whether the client reads blocks of thinking."""
    thinking = fields.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


def _output(fields: Json, chat: Json) -> None:
    output = ASKED.object(fields, "output_config")
    form = ASKED.object(output, "format") or ASKED.object(fields, "output_format")
    if form.get("type") == "json_schema":
        schema = {"name": "output", "schema": ASKED.object(form, "schema"), "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    if effort := ASKED.text(output, "effort"):
        chat["reasoning_effort"] = effort
    elif wants_thinking(fields):
        budget = ASKED.positive(ASKED.object(fields, "thinking"), "budget_tokens")
        chat["reasoning_effort"] = next((name for most, name in _BUDGETS if budget <= most), "high")


def _tools(fields: Json, chat: Json) -> None:
    tools = []
    for tool in ASKED.objects(fields, "tools"):
        if tool.get("type") not in (None, "custom"):
            raise Untranslatable(f"This model cannot use the tool {tool.get('type')}.")
        schema = ASKED.object(tool, "input_schema") or {"type": "object"}
        function: Json = {"name": ASKED.name(tool, "name"), "parameters": schema}
        if description := ASKED.text(tool, "description"):
            function["description"] = description
        if tool.get("strict") is True:
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    if tools:
        chat["tools"] = tools
    choice = ASKED.object(fields, "tool_choice")
    kind = ASKED.text(choice, "type")
    if kind == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": ASKED.name(choice, "name")}}
    elif kind in _CHOICES:
        chat["tool_choice"] = _CHOICES[kind]
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False


def _messages(fields: Json) -> list[Json]:
    found: list[Json] = []
    system = _said(fields, "system")
    if system:
        found.append({"role": "system", "content": system})
    for message in ASKED.objects(fields, "messages"):
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise Untranslatable("The role of a message must be user, assistant or system.")
        if role == "system" or isinstance(message.get("content"), str):
            found.append({"role": role, "content": _said(message, "content")})
        elif role == "assistant":
            found.append(_assistant(ASKED.objects(message, "content")))
        else:
            found += _user(ASKED.objects(message, "content"))
    return found


def _said(row: Json, name: str) -> str:
    """A member that is text, or blocks of it."""
    if isinstance(row.get(name), str):
        return ASKED.text(row, name)
    return "\n".join(ASKED.text(block, "text") for block in ASKED.objects(row, name) if block.get("type") == "text")


def _assistant(blocks: list[Json]) -> Json:
    text, calls = "", []
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            text += ASKED.text(block, "text")
        elif kind == "tool_use":
            arguments = write(ASKED.object(block, "input")).decode()
            call = {"name": ASKED.name(block, "name"), "arguments": arguments}
            calls.append({"id": ASKED.name(block, "id"), "type": "function", "function": call})
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
        if block.get("type") != "tool_result":
            parts.append(_part(block))
            continue
        result = {"role": "tool", "tool_call_id": ASKED.name(block, "tool_use_id"), "content": _said(block, "content")}
        results.append(result)
        if isinstance(block.get("content"), list):
            parts += [_part(each) for each in block["content"] if each.get("type") != "text"]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return [*results, {"role": "user", "content": parts[0]["text"]}]
    return [*results, {"role": "user", "content": parts}] if parts else results


def _part(block: Json) -> Json:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": ASKED.text(block, "text")}
    if kind in ("image", "document"):
        source = ASKED.object(block, "source")
        origin = source.get("type")
        if origin == "base64":
            url = f"data:{ASKED.name(source, 'media_type')};base64,{ASKED.name(source, 'data')}"
            if kind == "image":
                return {"type": "image_url", "image_url": {"url": url}}
            title = ASKED.text(block, "title") or "document.pdf"
            return {"type": "file", "file": {"filename": title, "file_data": url}}
        if kind == "image" and origin == "url":
            return {"type": "image_url", "image_url": {"url": ASKED.name(source, "url")}}
        if kind == "document" and origin == "text":
            return {"type": "text", "text": ASKED.text(source, "data")}
    raise Untranslatable(f"This model cannot read content of type {kind}.")


def from_completion(completion: Json, model: str, *, thinks: bool = False) -> Json:
    """A message that says what a chat completion says. Raises BadAnswer."""
    choice = first_choice(completion)
    message = SAID.object(choice, "message")
    content: list[Json] = []
    if thinks and (thinking := SAID.text(message, "reasoning_content")):
        content.append({"type": "thinking", "thinking": thinking, "signature": ""})
    if text := SAID.text(message, "content") or SAID.text(message, "refusal"):
        content.append({"type": "text", "text": text})
    for call in SAID.objects(message, "tool_calls"):
        function = SAID.object(call, "function")
        use = {"type": "tool_use", "id": SAID.text(call, "id"), "name": SAID.text(function, "name")}
        content.append({**use, "input": SAID.arguments(function)})
    return {
        "id": f"msg_{uuid7().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": _STOP_REASONS.get(SAID.text(choice, "finish_reason"), "end_turn"),
        "stop_sequence": None,
        "usage": usage_of(completion.get("usage")),
    }


def usage_of(usage: object) -> Json:
    """Anthropic's usage object from a chat completion's."""
    row: Json = usage if isinstance(usage, dict) else {}
    details = row.get("prompt_tokens_details")
    cached, written = 0, 0
    if isinstance(details, dict):
        cached, written = count(details.get("cached_tokens")), count(details.get("cache_write_tokens"))
    return {
        "input_tokens": max(0, count(row.get("prompt_tokens")) - cached - written),
        "output_tokens": count(row.get("completion_tokens")),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
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

    def __init__(self, model: str, *, thinks: bool = False) -> None:
        self._model = model
        self._thinks = thinks
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
            if self._thinks and (thinking := delta.get("reasoning_content")):
                out += self._block("thinking", 0, {"type": "thinking", "thinking": "", "signature": ""})
                out += self._delta({"type": "thinking_delta", "thinking": thinking})
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
