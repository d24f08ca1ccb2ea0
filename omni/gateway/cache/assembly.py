"""Whole answers put together from the events of a stream, a format each. Texts are kept in pieces until the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from omni.contracts.wire import Usage
from omni.providers.formats.pivot import Json
from omni.providers.formats.usage import to_openai

_CALLS_LIMIT = 1_000


class Assembly(Protocol):
    """One answer. Both methods may raise KeyError, TypeError, IndexError or AttributeError for what is no stream."""

    def add(self, row: Json) -> None:
        """The next event."""
        ...

    def whole(self, usage: Usage | None) -> Json | None:
        """The answer, or None where it is not whole."""
        ...


class _Completions:
    """What chat and completions share: choices by index, usage, and the members around them."""

    kind = "text_completion"

    def __init__(self) -> None:
        self._around: Json = {}
        self._usage: Any = None
        self._pieces: dict[int, dict[Any, list[str]]] = {}
        self._ends: dict[int, str] = {}
        self._logprobs: dict[int, Json] = {}

    def add(self, row: Json) -> None:
        if not self._around:
            self._around = {
                name: value for name, value in row.items() if name not in ("choices", "usage", "obfuscation")
            }
        self._usage = row.get("usage") or self._usage
        for piece in row["choices"]:
            index = piece.get("index", 0)
            self._add(index, self._pieces.setdefault(index, {}), piece)
            if piece.get("finish_reason"):
                self._ends[index] = piece["finish_reason"]

    def _add(self, index: int, pieces: dict[Any, list[str]], piece: Json) -> None:
        if piece.get("logprobs") is not None:
            raise TypeError("offsets would have to be counted anew")
        del index
        pieces.setdefault("text", []).append(piece.get("text") or "")

    def _choice(self, index: int) -> Json:
        return {"index": index, "text": "".join(self._pieces[index]["text"]), "logprobs": None}

    def whole(self, usage: Usage | None) -> Json | None:
        if not self._pieces or self._pieces.keys() != self._ends.keys():
            return None
        choices = [{**self._choice(index), "finish_reason": self._ends[index]} for index in sorted(self._pieces)]
        return {**self._around, "object": self.kind, "choices": choices, "usage": self._usage or to_openai(usage)}


class _Chat(_Completions):
    kind = "chat.completion"

    def __init__(self) -> None:
        super().__init__()
        self._members: dict[int, Json] = {}
        self._calls: dict[int, list[Json]] = {}

    def _add(self, index: int, pieces: dict[Any, list[str]], piece: Json) -> None:
        members = self._members.setdefault(index, {"role": "assistant", "content": None})
        for name, value in (piece.get("delta") or {}).items():
            if name == "tool_calls":
                for call in value or ():
                    self._add_call(self._calls.setdefault(index, []), pieces, call)
            elif isinstance(value, str) and name != "role":
                members.setdefault(name, None)
                if value:
                    pieces.setdefault(name, []).append(value)
            elif value is not None:
                members[name] = value
        for name, values in (piece.get("logprobs") or {}).items():
            self._logprobs.setdefault(index, {}).setdefault(name, []).extend(values or ())

    def _add_call(self, calls: list[Json], pieces: dict[Any, list[str]], piece: Json) -> None:
        position, function = piece.get("index", 0), piece.get("function") or {}
        if position >= _CALLS_LIMIT:
            raise IndexError("too many calls of tools")
        while len(calls) <= position:
            calls.append({"function": {"name": "", "arguments": ""}})
        call = calls[position]
        call |= {name: value for name, value in piece.items() if name not in ("index", "function") and value}
        call["function"]["name"] += function.get("name") or ""
        pieces.setdefault(position, []).append(function.get("arguments") or "")

    def _choice(self, index: int) -> Json:
        pieces, message = self._pieces[index], dict(self._members[index])
        message |= {name: "".join(texts) for name, texts in pieces.items() if isinstance(name, str)}
        if calls := self._calls.get(index):
            for position, call in enumerate(calls):
                call["function"]["arguments"] = "".join(pieces.get(position, ()))
            message["tool_calls"] = calls
        return {"index": index, "message": message, "logprobs": self._logprobs.get(index)}


_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class _Message:
    def __init__(self) -> None:
        self._message: Json = {}
        self._blocks: dict[int, Json] = {}
        self._pieces: dict[int, list[str]] = {}

    def add(self, row: Json) -> None:
        kind = row["type"]
        if kind == "message_start":
            self._message = dict(row["message"])
        elif kind == "content_block_start":
            self._blocks[row["index"]] = dict(row["content_block"])
        elif kind == "content_block_delta":
            self._add(row["index"], row["delta"])
        elif kind == "message_delta":
            self._message |= row["delta"]
            self._message["usage"] = {**(self._message.get("usage") or {}), **(row.get("usage") or {})}
        elif kind == "error":
            raise TypeError("an error inside the stream")

    def _add(self, index: int, delta: Json) -> None:
        kind, block = delta["type"], self._blocks[index]
        if kind in _PIECES:
            self._pieces.setdefault(index, []).append(delta[_PIECES[kind]])
        elif kind == "signature_delta":
            block["signature"] = delta["signature"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        else:
            raise TypeError(f"unknown {kind}")

    def whole(self, usage: Usage | None) -> Json | None:
        del usage
        if not self._message.get("stop_reason"):
            return None
        for index, pieces in self._pieces.items():
            block, text = self._blocks[index], "".join(pieces)
            if block["type"] in ("text", "thinking"):
                block[block["type"]] += text
            else:
                block["input"] = orjson.loads(text or "{}")
        return {**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]}


class _Response:
    """The last event has all of it."""

    def __init__(self) -> None:
        self._response: Json | None = None

    def add(self, row: Json) -> None:
        self._response = row["response"] if row["type"] in ("response.completed", "response.incomplete") else None

    def whole(self, usage: Usage | None) -> Json | None:
        del usage
        return self._response


ASSEMBLIES: Mapping[str, Callable[[], Assembly]] = {
    "chat": _Chat,
    "completions": _Completions,
    "messages": _Message,
    "responses": _Response,
}
