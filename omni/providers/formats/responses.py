"""OpenAI's Responses, as clients speak them, to and from the pivot."""

from __future__ import annotations

import time
from typing import Any

import orjson

from omni.contracts.wire import Untranslatable
from omni.kit.ids import uuid7
from omni.providers.formats.chat import first_choice
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import ASKED, SAID
from omni.providers.formats.sse import sse_event
from omni.providers.formats.usage import count

_UNKNOWN = ("previous_response_id", "conversation", "background", "prompt", "top_logprobs", "context_management")
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
    if effort := ASKED.text(ASKED.object(fields, "reasoning"), "effort"):
        chat["reasoning_effort"] = effort
    _format(ASKED.object(fields, "text"), chat)
    tools = [_tool(tool) for tool in ASKED.objects(fields, "tools")]
    if tools:
        chat["tools"] = tools
    choice = fields.get("tool_choice")
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise Untranslatable(f"This model cannot be told to use a tool of type {choice.get('type')}.")
        chat["tool_choice"] = {"type": "function", "function": {"name": ASKED.name(choice, "name")}}
    elif choice is not None:
        chat["tool_choice"] = ASKED.text(fields, "tool_choice")
    return chat


def _format(text: Json, chat: Json) -> None:
    form = ASKED.object(text, "format")
    if form.get("type") == "json_schema":
        schema = {name: form[name] for name in ("name", "schema", "strict", "description") if name in form}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form.get("type") == "json_object":
        chat["response_format"] = {"type": "json_object"}
    if verbosity := ASKED.text(text, "verbosity"):
        chat["verbosity"] = verbosity


def _tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        raise Untranslatable(f"This model cannot use the tool {tool.get('type')}.")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _messages(fields: Json) -> list[Json]:
    found: list[Json] = []
    if instructions := ASKED.text(fields, "instructions"):
        found.append({"role": "system", "content": instructions})
    if isinstance(fields.get("input"), str):
        return [*found, {"role": "user", "content": fields["input"]}]
    for item in ASKED.objects(fields, "input"):
        kind = item.get("type", "message")
        if kind == "message":
            found.append({"role": item.get("role"), "content": _content(item, "content")})
        elif kind == "function_call":
            call = {"name": ASKED.name(item, "name"), "arguments": ASKED.text(item, "arguments")}
            entry = {"id": ASKED.name(item, "call_id"), "type": "function", "function": call}
            if found and found[-1].get("tool_calls"):
                found[-1]["tool_calls"].append(entry)
            elif found and found[-1]["role"] == "assistant":
                found[-1]["tool_calls"] = [entry]
            else:
                found.append({"role": "assistant", "content": None, "tool_calls": [entry]})
        elif kind == "function_call_output":
            content = _content(item, "output")
            found.append({"role": "tool", "tool_call_id": ASKED.name(item, "call_id"), "content": content})
        elif kind != "reasoning":
            raise Untranslatable(f"This model cannot read input of type {kind}.")
    return found


def _content(item: Json, name: str) -> Any:
    if not isinstance(item.get(name), list):
        return ASKED.text(item, name)
    parts = [_part(part) for part in ASKED.objects(item, name)]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Json) -> Json:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": ASKED.text(part, "text")}
    if kind == "input_image" and part.get("image_url"):
        image = {name: part[name] for name in ("detail",) if isinstance(part.get(name), str)}
        return {"type": "image_url", "image_url": {"url": ASKED.name(part, "image_url"), **image}}
    if kind == "input_file" and part.get("file_data"):
        file = {name: ASKED.text(part, name) for name in ("filename", "file_data")}
        return {"type": "file", "file": file}
    if kind == "refusal":
        return {"type": "text", "text": ASKED.text(part, "refusal")}
    raise Untranslatable(f"This model cannot read content of type {kind}.")


def from_completion(completion: Json, model: str) -> Json:
    """A response that says what a chat completion says. Raises BadAnswer."""
    choice = first_choice(completion)
    message = SAID.object(choice, "message")
    output: list[Json] = []
    if reasoning := SAID.text(message, "reasoning_content"):
        output.append(_reasoning(f"rs_{uuid7().hex}", reasoning))
    if text := SAID.text(message, "content"):
        output.append(_message(f"msg_{uuid7().hex}", text))
    elif refusal := SAID.text(message, "refusal"):
        item = _message(f"msg_{uuid7().hex}", "")
        output.append({**item, "content": [{"type": "refusal", "refusal": refusal}]})
    for call in SAID.objects(message, "tool_calls"):
        function = SAID.object(call, "function")
        name, arguments = SAID.text(function, "name"), SAID.text(function, "arguments")
        output.append(_call(f"fc_{uuid7().hex}", SAID.text(call, "id"), name, arguments))
    return _response(f"resp_{uuid7().hex}", model, output, completion.get("usage"), choice.get("finish_reason"))


def _reasoning(item_id: str, text: str) -> Json:
    return {"id": item_id, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


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
    into, out = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    into, out = into if isinstance(into, dict) else {}, out if isinstance(out, dict) else {}
    return {
        "input_tokens": count(usage.get("prompt_tokens")),
        "input_tokens_details": {
            "cached_tokens": count(into.get("cached_tokens")),
            "cache_write_tokens": count(into.get("cache_write_tokens")),
        },
        "output_tokens": count(usage.get("completion_tokens")),
        "output_tokens_details": {"reasoning_tokens": count(out.get("reasoning_tokens"))},
        "total_tokens": count(usage.get("total_tokens")),
    }


def error_event(code: str, message: str) -> bytes:
    """An error inside a stream, which ends it."""
    error = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0}
    return sse_event(orjson.dumps(error), b"error")


_CONTENTS = {
    "reasoning_content": ("rs", "reasoning", "response.reasoning_summary_part", "response.reasoning_summary_text"),
    "content": ("msg", "output_text", "response.content_part", "response.output_text"),
    "refusal": ("msg", "refusal", "response.content_part", "response.refusal"),
}
"""By member of a chunk's delta: prefix of the item's id, its kind, and the events of its part and of its text."""


class ResponsesWriter:
    """Writes chunks as the events of a response. Keeps the answer: the last event says all of it again."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._id = f"resp_{uuid7().hex}"
        self._number = -1
        self._begun = False
        self._open: tuple[str, Json] | None = None
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
            for member in _CONTENTS:
                if text := delta.get(member):
                    out += self._write_text(member, text)
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

    def _write_text(self, member: str, text: str) -> bytes:
        prefix, kind, part_event, text_event = _CONTENTS[member]
        out = b""
        if self._open is None or self._open[0] != member:
            out = self._end_text()
            item = _item(kind, f"{prefix}_{uuid7().hex}")
            self._open = (member, item)
            self._output.append(item)
            shown = {**item, "summary": []} if kind == "reasoning" else {**item, "status": "in_progress", "content": []}
            out += self._event("response.output_item.added", {"output_index": len(self._output) - 1, "item": shown})
            out += self._event(f"{part_event}.added", {**self._where(item), "part": _part_of(item)[0]})
        item = self._open[1]
        part, name = _part_of(item)
        part[name] += text
        extra: Json = {"logprobs": []} if member == "content" else {}
        return out + self._event(f"{text_event}.delta", {**self._where(item), "delta": text, **extra})

    def _end_text(self) -> bytes:
        if self._open is None:
            return b""
        (member, item), self._open = self._open, None
        _, _, part_event, text_event = _CONTENTS[member]
        part, name = _part_of(item)
        extra: Json = {"logprobs": []} if member == "content" else {}
        out = self._event(f"{text_event}.done", {**self._where(item), name: part[name], **extra})
        out += self._event(f"{part_event}.done", {**self._where(item), "part": part})
        return out + self._event("response.output_item.done", {"output_index": self._output.index(item), "item": item})

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
        place = "summary_index" if item["type"] == "reasoning" else "content_index"
        return {"item_id": item["id"], "output_index": self._output.index(item), place: 0}

    def _event(self, kind: str, members: Json) -> bytes:
        self._number += 1
        return sse_event(orjson.dumps({"type": kind, "sequence_number": self._number, **members}), kind.encode("ascii"))


def _item(kind: str, item_id: str) -> Json:
    """An item that has no text yet."""
    if kind == "reasoning":
        return _reasoning(item_id, "")
    item = _message(item_id, "")
    if kind == "refusal":
        item["content"] = [{"type": "refusal", "refusal": ""}]
    return item


def _part_of(item: Json) -> tuple[Json, str]:
    """The only part of an item, and the member that has its text."""
    part: Json = (item.get("summary") or item["content"])[0]
    return part, "refusal" if part["type"] == "refusal" else "text"
