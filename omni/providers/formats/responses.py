"""OpenAI's Responses, as clients speak them, to and from the pivot."""

from __future__ import annotations

import time
from typing import Any

import orjson

from omni.contracts.wire import Untranslatable
from omni.kit.ids import uuid7
from omni.providers.formats.pivot import Json
from omni.providers.formats.sse import sse_event

_UNKNOWN = ("previous_response_id", "conversation", "background", "prompt", "truncation_strategy")
_PASSED = ("temperature", "top_p", "user", "metadata", "parallel_tool_calls", "stream")


def to_chat(fields: Json) -> Json:
    """A chat request that asks the same. Raises Untranslatable."""
    for name in _UNKNOWN:
        if fields.get(name):
            raise Untranslatable(f"This model cannot serve requests with {name}.")
    chat: Json = {"model": fields.get("model"), "messages": _messages(fields)}
    for name in _PASSED:
        if fields.get(name) is not None:
            chat[name] = fields[name]
    if fields.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = fields["max_output_tokens"]
    if isinstance(effort := (fields.get("reasoning") or {}).get("effort"), str):
        chat["reasoning_effort"] = effort
    form = (fields.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        schema = {name: form[name] for name in ("name", "schema", "strict", "description") if name in form}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form.get("type") == "json_object":
        chat["response_format"] = form
    tools = [_tool(tool) for tool in fields.get("tools") or ()]
    if tools:
        chat["tools"] = tools
    choice = fields.get("tool_choice")
    if isinstance(choice, dict):
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice is not None:
        chat["tool_choice"] = choice
    return chat


def _tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        raise Untranslatable(f"This model cannot use the tool {tool.get('type')}.")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _messages(fields: Json) -> list[Json]:
    found: list[Json] = []
    if fields.get("instructions"):
        found.append({"role": "system", "content": fields["instructions"]})
    given = fields.get("input")
    if isinstance(given, str):
        return [*found, {"role": "user", "content": given}]
    for item in given or ():
        kind = item.get("type", "message")
        if kind == "message":
            found.append({"role": item.get("role"), "content": _content(item.get("content"))})
        elif kind == "function_call":
            call = {"name": item.get("name"), "arguments": item.get("arguments")}
            entry = {"id": item.get("call_id"), "type": "function", "function": call}
            if found and found[-1].get("tool_calls"):
                found[-1]["tool_calls"].append(entry)
            else:
                found.append({"role": "assistant", "content": None, "tool_calls": [entry]})
        elif kind == "function_call_output":
            output = item.get("output")
            text = output if isinstance(output, str) else orjson.dumps(output).decode()
            found.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": text})
        elif kind != "reasoning":
            raise Untranslatable(f"This model cannot read input of type {kind}.")
    return found


def _content(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    parts: list[Json] = []
    for part in content:
        kind = part.get("type")
        if kind in ("input_text", "output_text", "text"):
            parts.append({"type": "text", "text": part.get("text", "")})
        elif kind == "input_image" and part.get("image_url"):
            parts.append({"type": "image_url", "image_url": {"url": part["image_url"]}})
        elif kind == "refusal":
            parts.append({"type": "text", "text": part.get("refusal", "")})
        else:
            raise Untranslatable(f"This model cannot read content of type {kind}.")
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def from_completion(completion: Json, model: str) -> Json:
    """A response that says what a chat completion says."""
    choice = completion["choices"][0]
    message = choice.get("message") or {}
    output: list[Json] = []
    if text := message.get("content"):
        output.append(_message(f"msg_{uuid7().hex}", text))
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        output.append(_call(f"fc_{uuid7().hex}", call.get("id"), function.get("name"), function.get("arguments") or ""))
    return _response(f"resp_{uuid7().hex}", model, output, completion.get("usage"), choice.get("finish_reason"))


def _message(item_id: str, text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _call(item_id: str, call_id: Any, name: Any, arguments: str) -> Json:
    return {
        "id": item_id, "type": "function_call", "status": "completed", "call_id": call_id, "name": name,
        "arguments": arguments,
    }  # fmt: skip


def _response(response_id: str, model: str, output: list[Json], usage: Any, finish_reason: Any) -> Json:
    short = finish_reason in ("length", "content_filter")
    reason = "max_output_tokens" if finish_reason == "length" else "content_filter"
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "status": "incomplete" if short else "completed",
        "incomplete_details": {"reason": reason} if short else None,
        "error": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": _usage(usage),
    }


def _usage(usage: Any) -> Json | None:
    if not isinstance(usage, dict):
        return None
    into, out = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": usage.get("prompt_tokens") or 0,
        "input_tokens_details": {"cached_tokens": into.get("cached_tokens") or 0},
        "output_tokens": usage.get("completion_tokens") or 0,
        "output_tokens_details": {"reasoning_tokens": out.get("reasoning_tokens") or 0},
        "total_tokens": usage.get("total_tokens") or 0,
    }


def error_event(code: str, message: str) -> bytes:
    """An error inside a stream, which ends it."""
    error = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0}
    return sse_event(orjson.dumps(error), b"error")


class ResponsesWriter:
    """Writes chunks as the events of a response."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._id = f"resp_{uuid7().hex}"
        self._number = -1
        self._begun = False
        self._text: Json | None = None
        self._calls: dict[int, Json] = {}
        self._output: list[Json] = []
        self._usage: Any = None
        self._finish_reason: Any = None

    def write(self, chunk: Json) -> bytes:
        out = self._begin()
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if text := delta.get("content"):
                out += self._write_text(text)
            for call in delta.get("tool_calls") or ():
                out += self._write_call(call)
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return out

    def end(self) -> bytes:
        out = self._begin() + self._end_text()
        for item in self._calls.values():
            at = self._output.index(item)
            item["status"] = "completed"
            done = {"item_id": item["id"], "output_index": at, "arguments": item["arguments"], "name": item["name"]}
            out += self._event("response.function_call_arguments.done", done)
            out += self._event("response.output_item.done", {"output_index": at, "item": item})
        response = _response(self._id, self._model, self._output, self._usage, self._finish_reason)
        return out + self._event(f"response.{response['status']}", {"response": response})

    def error(self, code: str, message: str) -> bytes:
        return error_event(code, message)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        response = {**_response(self._id, self._model, [], None, None), "status": "in_progress"}
        return self._event("response.created", {"response": response}) + self._event(
            "response.in_progress", {"response": response}
        )

    def _write_text(self, text: str) -> bytes:
        out = b""
        if self._text is None:
            self._text = item = _message(f"msg_{uuid7().hex}", "")
            self._output.append(item)
            at = len(self._output) - 1
            shown = {**item, "status": "in_progress", "content": []}
            out = self._event("response.output_item.added", {"output_index": at, "item": shown})
            part = {"item_id": item["id"], "output_index": at, "content_index": 0, "part": item["content"][0]}
            out += self._event("response.content_part.added", part)
        item = self._text
        item["content"][0]["text"] += text
        return out + self._event("response.output_text.delta", {**self._where(item), "delta": text, "logprobs": []})

    def _end_text(self) -> bytes:
        item, self._text = self._text, None
        if item is None:
            return b""
        part = item["content"][0]
        out = self._event("response.output_text.done", {**self._where(item), "text": part["text"], "logprobs": []})
        out += self._event("response.content_part.done", {**self._where(item), "part": part})
        done = {"output_index": self._output.index(item), "item": item}
        return out + self._event("response.output_item.done", done)

    def _write_call(self, call: Json) -> bytes:
        index, function = call.get("index", 0), call.get("function") or {}
        out = b""
        item = self._calls.get(index)
        if item is None:
            out = self._end_text()
            item = self._calls[index] = _call(f"fc_{uuid7().hex}", call.get("id"), function.get("name"), "")
            item["status"] = "in_progress"
            self._output.append(item)
            added = {"output_index": len(self._output) - 1, "item": dict(item)}
            out += self._event("response.output_item.added", added)
        if arguments := function.get("arguments"):
            item["arguments"] += arguments
            delta = {"item_id": item["id"], "output_index": self._output.index(item), "delta": arguments}
            out += self._event("response.function_call_arguments.delta", delta)
        return out

    def _where(self, item: Json) -> Json:
        return {"item_id": item["id"], "output_index": self._output.index(item), "content_index": 0}

    def _event(self, kind: str, members: Json) -> bytes:
        self._number += 1
        return sse_event(orjson.dumps({"type": kind, "sequence_number": self._number, **members}), kind.encode("ascii"))
