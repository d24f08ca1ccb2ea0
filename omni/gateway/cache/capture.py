"""A stream read along on its way to the client, as the whole answer that it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from omni.contracts.routes import Operation
from omni.contracts.wire import BadAnswer, StreamTranslator, Usage
from omni.providers.formats.pivot import Json
from omni.providers.formats.sse import SseParser
from omni.providers.formats.usage import to_openai


class Capture:
    """Collects the events that the client gets, up to a limit of bytes; beyond it there is no whole answer."""

    def __init__(self, operation: Operation, limit_bytes: int) -> None:
        self._operation = operation
        self._left = limit_bytes
        self._parser = SseParser()
        self._rows: list[Json] = []

    @property
    def given_up(self) -> bool:
        return self._left < 0

    def feed(self, data: bytes) -> None:
        """Bytes for the client."""
        if self._left < 0:
            return
        self._left -= len(data)
        if self._left < 0:
            self._rows.clear()
            return
        try:
            for event in self._parser.feed(data):
                if event.data != b"[DONE]":
                    self._rows.append(orjson.loads(event.data))
        except (BadAnswer, orjson.JSONDecodeError):
            self.give_up()

    def give_up(self) -> None:
        self._left = -1
        self._rows.clear()

    def whole(self, usage: Usage | None) -> bytes | None:
        """The whole answer; None where there is none."""
        if self._left < 0 or not self._rows:
            return None
        try:
            row = _ASSEMBLERS[self._operation](self._rows, usage)
        except (KeyError, TypeError, IndexError, AttributeError, orjson.JSONDecodeError):
            return None
        return None if row is None else orjson.dumps(row)


class CapturedStream:
    """A translator whose output a capture reads along."""

    def __init__(self, inner: StreamTranslator, capture: Capture) -> None:
        self._inner = inner
        self._capture = capture

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    @property
    def text_bytes(self) -> int:
        return self._inner.text_bytes

    @property
    def finished(self) -> bool:
        return self._inner.finished

    @property
    def failed(self) -> str | None:
        return self._inner.failed

    def feed(self, data: bytes) -> bytes:
        out = self._inner.feed(data)
        self._capture.feed(out)
        return out

    def end(self) -> bytes:
        out = self._inner.end()
        self._capture.feed(out)
        return out

    def fail(self, code: str, message: str) -> bytes:
        self._capture.give_up()
        return self._inner.fail(code, message)


def _chat(rows: list[Json], usage: Usage | None) -> Json | None:
    choices: dict[int, Json] = {}
    for row in rows:
        for piece in row["choices"]:
            index = piece.get("index", 0)
            choice = choices.setdefault(
                index, {"index": index, "message": {"role": "assistant", "content": None}, "logprobs": None}
            )
            _add_delta(choice["message"], piece.get("delta") or {})
            if (logprobs := piece.get("logprobs")) is not None:
                known = choice["logprobs"] = choice["logprobs"] or {}
                for name, values in logprobs.items():
                    known[name] = (known.get(name) or []) + (values or [])
            if piece.get("finish_reason"):
                choice["finish_reason"] = piece["finish_reason"]
    return _completed(rows, choices, "chat.completion", usage)


def _add_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            calls: list[Json] = message.setdefault("tool_calls", [])
            for piece in value or ():
                _add_call(calls, piece)
        elif name == "role":
            message[name] = value
        elif isinstance(value, str) and not value:
            message.setdefault(name, None)  # an empty piece opens a text that may never come
        elif isinstance(value, str):
            message[name] = (message.get(name) or "") + value
        elif value is not None:
            message[name] = value


def _add_call(calls: list[Json], piece: Json) -> None:
    position = piece.get("index", 0)
    while len(calls) <= position:
        calls.append({"function": {"name": "", "arguments": ""}})
    call, function = calls[position], piece.get("function") or {}
    call |= {name: value for name, value in piece.items() if name not in ("index", "function") and value}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _completion(rows: list[Json], usage: Usage | None) -> Json | None:
    choices: dict[int, Json] = {}
    for row in rows:
        for piece in row["choices"]:
            index = piece.get("index", 0)
            choice = choices.setdefault(index, {"index": index, "text": "", "logprobs": None})
            choice["text"] += piece.get("text") or ""
            if piece.get("logprobs") is not None:
                return None  # offsets would have to be counted anew
            if piece.get("finish_reason"):
                choice["finish_reason"] = piece["finish_reason"]
    return _completed(rows, choices, "text_completion", usage)


def _completed(rows: list[Json], choices: dict[int, Json], kind: str, usage: Usage | None) -> Json | None:
    if not choices or not all(choice.get("finish_reason") for choice in choices.values()):
        return None
    first = {name: value for name, value in rows[0].items() if name not in ("choices", "usage", "obfuscation")}
    counted: Any = next((row["usage"] for row in reversed(rows) if row.get("usage")), None) or to_openai(usage)
    return {**first, "object": kind, "choices": [choices[index] for index in sorted(choices)], "usage": counted}


def _message(rows: list[Json], _: Usage | None) -> Json | None:
    message: Json = {}
    blocks: dict[int, Json] = {}
    partial: dict[int, str] = {}
    for row in rows:
        kind = row["type"]
        if kind == "message_start":
            message = dict(row["message"])
        elif kind == "content_block_start":
            blocks[row["index"]] = dict(row["content_block"])
        elif kind == "content_block_delta":
            _add_block(blocks[row["index"]], row["delta"], partial, row["index"])
        elif kind == "message_delta":
            message |= row["delta"]
            message["usage"] = {**(message.get("usage") or {}), **(row.get("usage") or {})}
    for index, text in partial.items():
        blocks[index]["input"] = orjson.loads(text or "{}")
    if not message or not message.get("stop_reason"):
        return None
    return {**message, "content": [blocks[index] for index in sorted(blocks)]}


def _add_block(block: Json, delta: Json, partial: dict[int, str], index: int) -> None:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    elif kind == "input_json_delta":
        partial[index] = partial.get(index, "") + delta["partial_json"]
    else:
        raise KeyError(kind)


def _response(rows: list[Json], _: Usage | None) -> Json | None:
    last = rows[-1]
    found = last["response"] if last["type"] in ("response.completed", "response.incomplete") else None
    return found if isinstance(found, dict) else None


_ASSEMBLERS: dict[str, Callable[[list[Json], Usage | None], Json | None]] = {
    "chat": _chat,
    "completions": _completion,
    "messages": _message,
    "responses": _response,
}


def is_complete(operation: Operation, body: bytes) -> bool:
    """Whether a whole answer may be stored: it came to its own end, and no filter stopped it."""
    try:
        row = orjson.loads(body)
        if operation in ("chat", "completions"):
            return all(choice.get("finish_reason") not in (None, "content_filter") for choice in row["choices"])
        if operation == "messages":
            return row.get("stop_reason") not in (None, "refusal", "pause_turn")
        if operation == "responses":
            reason = (row.get("incomplete_details") or {}).get("reason")
            return row.get("status") == "completed" or (
                row.get("status") == "incomplete" and reason != "content_filter"
            )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return False
    return True
