"""Where the text is in requests and answers, as places that can be read and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

REQUEST_TEXTS = ("messages", "system", "instructions", "input", "prompt", "suffix", "prediction")
REQUEST_LABELS = ("user", "safety_identifier", "metadata")
"""What names somebody without being read by the model."""
ANSWER_TEXTS = ("choices", "output", "content", "text", "segments", "data", "response", "item", "part", "delta")
_NO_TEXT = frozenset((
    "type", "role", "id", "item_id", "call_id", "tool_call_id", "tool_use_id", "name", "url", "image_url", "file_id",
    "file_data", "input_audio", "audio", "media_type", "signature", "encrypted_content", "detail", "format", "object",
    "cache_control", "status", "server_label", "model", "finish_reason", "stop_reason", "b64_json", "embedding",
    "logprobs", "usage", "tools", "obfuscation",
))  # fmt: skip
_TOOL_INPUTS = ("tool_use", "server_tool_use", "mcp_tool_use")


@dataclass(frozen=True, slots=True)
class Place:
    """A text, and how to change it."""

    container: Any
    key: Any
    is_json: bool
    """Whether the text is JSON itself: the arguments of a tool."""

    @property
    def text(self) -> str:
        return str(self.container[self.key])

    def set(self, text: str) -> None:
        self.container[self.key] = int(text) if isinstance(self.container[self.key], int) else text


def places(root: Json, names: Iterable[str]) -> Iterator[Place]:
    """The texts below these members, in the order in which they stand."""
    stack: list[tuple[Any, Any, str, bool]] = [
        (root, name, name, name == "metadata") for name in reversed(tuple(names)) if name in root
    ]
    while stack:
        container, key, name, free = stack.pop()
        value = container[key]
        if isinstance(value, str):
            yield Place(container, key, name == "arguments")
        elif isinstance(value, dict):
            inside = free or (value.get("type") in _TOOL_INPUTS and "input" in value)
            stack += [
                (value, member, member, free or (inside and member == "input"))
                for member in reversed(value)
                if free or _is_text(value, member)
            ]
        elif isinstance(value, list):
            stack += [(value, index, name, free) for index in range(len(value) - 1, -1, -1)]
        elif free and type(value) is int and value > 9_999_999:
            yield Place(container, key, True)


def _is_text(value: Json, member: str) -> bool:
    if member in _NO_TEXT:
        return False
    return member != "data" or value.get("type") == "text" or not isinstance(value["data"], str)


def asked_texts(fields: Json) -> list[str]:
    """What users and tools say in a request: not the operator of the conversation, nor the model itself."""
    said: Json = {}
    for name in ("messages", "input"):
        given = fields.get(name)
        said[name] = [item for item in given if _is_from_outside(item)] if isinstance(given, list) else given
    said["prompt"] = fields.get("prompt")
    return [place.text for place in places(said, ("messages", "input", "prompt"))]


def _is_from_outside(item: object) -> bool:
    if not isinstance(item, dict):
        return True
    role, kind = item.get("role"), item.get("type")
    return role in ("user", "tool", "function") or (role is None and kind != "function_call")


def delta_texts(row: Json) -> Iterator[tuple[Any, str]]:
    """What an event of a stream adds, of any format: which text it belongs to, and the piece."""
    delta = row.get("delta")
    kind = str(row.get("type"))
    if isinstance(delta, str):
        if "audio.delta" not in kind:
            yield (kind, row.get("item_id"), row.get("content_index"), row.get("summary_index")), delta
    elif isinstance(delta, dict):
        yield from (((row.get("index"), name), text) for name, text in delta.items() if _is_piece(name, text))
    for choice in row.get("choices") or ():
        index, piece = choice.get("index"), choice.get("delta") or {}
        if isinstance(choice.get("text"), str):
            yield (index, "text"), choice["text"]
        yield from (((index, name), text) for name, text in piece.items() if _is_piece(name, text))
        for call in piece.get("tool_calls") or ():
            arguments = (call.get("function") or {}).get("arguments")
            if isinstance(arguments, str):
                yield (index, "tool", call.get("index")), arguments


PIECES = ("content", "reasoning_content", "reasoning", "refusal", "text", "thinking", "partial_json")


def _is_piece(name: str, text: object) -> bool:
    return name in PIECES and isinstance(text, str)
