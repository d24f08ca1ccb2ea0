"""A whole answer as the stream that would have said it, in the events of its own format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from omni.contracts.wire import ModelRequest
from omni.providers.formats.chat import DONE, wants_usage
from omni.providers.formats.pivot import Json
from omni.providers.formats.sse import sse_event


def as_stream(request: ModelRequest, body: bytes) -> bytes:
    """The events of an answer of an operation that can be streamed. Raises ValueError, KeyError or TypeError."""
    row = orjson.loads(body)
    if request.operation == "chat":
        return _done(_chat(row, include_usage=wants_usage(request.fields)))
    if request.operation == "completions":
        return _done(_completion(row, include_usage=wants_usage(request.fields)))
    if request.operation == "messages":
        return b"".join([_named(event) for event in _message(row)])
    return b"".join([_named({**event, "sequence_number": n}) for n, event in enumerate(_response(row))])


STREAMED = frozenset(("chat", "completions", "messages", "responses"))
"""Operations whose answers can be streamed and cached."""


def _done(chunks: Iterator[Json]) -> bytes:
    return b"".join([sse_event(orjson.dumps(chunk)) for chunk in chunks]) + DONE


def _named(event: Json) -> bytes:
    return sse_event(orjson.dumps(event), event["type"].encode("ascii"))


def _base(row: Json, kind: str) -> Json:
    kept = ("id", "created", "model", "system_fingerprint", "service_tier")
    return {name: row[name] for name in kept if name in row} | {"object": kind}


def _chat(row: Json, *, include_usage: bool) -> Iterator[Json]:
    base = _base(row, "chat.completion.chunk")
    for choice in row["choices"]:
        message, index = choice["message"], choice.get("index", 0)

        def chunk(delta: Json, index: int = index, **more: Any) -> Json:
            return {**base, "choices": [{"index": index, "delta": delta, "finish_reason": None, **more}]}

        yield chunk({"role": message.get("role", "assistant"), "content": ""})
        for name in ("reasoning_content", "reasoning"):
            if message.get(name):
                yield chunk({name: message[name]})
        if message.get("content"):
            yield chunk({"content": message["content"]}, logprobs=choice.get("logprobs"))
        rest = {
            name: value
            for name, value in message.items()
            if value and name not in ("role", "content", "reasoning_content", "reasoning", "tool_calls")
        }
        if rest:
            yield chunk(rest)
        for position, call in enumerate(message.get("tool_calls") or ()):
            yield chunk({"tool_calls": [{"index": position, **call}]})
        yield chunk({}, finish_reason=choice.get("finish_reason"))
    if include_usage:
        yield {**base, "choices": [], "usage": row.get("usage")}


def _completion(row: Json, *, include_usage: bool) -> Iterator[Json]:
    base = _base(row, "text_completion")
    for choice in row["choices"]:
        yield {**base, "choices": [choice]}
    if include_usage:
        yield {**base, "choices": [], "usage": row.get("usage")}


def _message(row: Json) -> Iterator[Json]:
    usage = row.get("usage") or {}
    start = {**row, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 0}}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(row["content"]):
        empty, deltas = _BLOCKS.get(block.get("type"), _whole_block)(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": row.get("stop_reason"), "stop_sequence": row.get("stop_sequence")}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    yield {"type": "message_stop"}


def _text_block(block: Json) -> tuple[Json, list[Json]]:
    citations = [{"type": "citations_delta", "citation": citation} for citation in block.get("citations") or ()]
    text: Json = {"type": "text_delta", "text": block["text"]}
    return {"type": "text", "text": ""}, [text, *citations]


def _tool_block(block: Json) -> tuple[Json, list[Json]]:
    given = orjson.dumps(block.get("input") or {}).decode()
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": given}]


def _thinking_block(block: Json) -> tuple[Json, list[Json]]:
    deltas: list[Json] = [{"type": "thinking_delta", "thinking": block["thinking"]}]
    if block.get("signature"):
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return {"type": "thinking", "thinking": "", "signature": ""}, deltas


def _whole_block(block: Json) -> tuple[Json, list[Json]]:
    return block, []


_BLOCKS: dict[Any, Callable[[Json], tuple[Json, list[Json]]]] = {
    "text": _text_block,
    "tool_use": _tool_block,
    "thinking": _thinking_block,
}


def _response(row: Json) -> Iterator[Json]:
    begun = {**row, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(row["output"]):
        kind = item.get("type")
        where: Json = {"item_id": item.get("id"), "output_index": index}
        if kind == "message":
            shown = {**item, "status": "in_progress", "content": []}
            yield {"type": "response.output_item.added", "output_index": index, "item": shown}
            for position, part in enumerate(item.get("content") or ()):
                yield from _part({**where, "content_index": position}, part)
        elif kind == "function_call":
            shown = {**item, "status": "in_progress", "arguments": ""}
            yield {"type": "response.output_item.added", "output_index": index, "item": shown}
            given = item.get("arguments", "")
            yield {"type": "response.function_call_arguments.delta", **where, "delta": given}
            yield {"type": "response.function_call_arguments.done", **where, "arguments": given, "name": item["name"]}
        else:
            yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{row.get('status', 'completed')}", "response": row}


def _part(where: Json, part: Json) -> Iterator[Json]:
    name = "refusal" if part.get("type") == "refusal" else "text"
    event = "response.refusal" if name == "refusal" else "response.output_text"
    text = part.get(name, "")
    logprobs = {"logprobs": part.get("logprobs") or []} if name == "text" else {}
    yield {"type": "response.content_part.added", **where, "part": {**part, name: ""}}
    yield {"type": f"{event}.delta", **where, "delta": text, **logprobs}
    yield {"type": f"{event}.done", **where, name: text, **logprobs}
    yield {"type": "response.content_part.done", **where, "part": part}
