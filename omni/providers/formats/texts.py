"""The text in requests and answers, whichever of the clients' formats they have: what a tokenizer counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

_ASKED = ("system", "instructions", "messages", "input", "prompt", "tools")
_UNREAD = frozenset(("type", "id", "tool_call_id", "call_id", "tool_use_id", "role", "cache_control"))
_PICTURES = ("image_url", "input_image", "image", "document", "file", "input_file", "input_audio")
_SAID = ("content", "reasoning_content", "refusal", "text", "thinking", "arguments")


def asked_text(fields: Mapping[str, Any]) -> str:
    """All that a model reads of a request as text, without pictures and files."""
    return "\n".join(part for name in _ASKED for part in _strings(fields.get(name), named=name == "tools"))


def _strings(value: object, *, named: bool) -> Iterator[str]:
    """The strings in a document; where `named`, the names of what has members, too: a schema is read as it is."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            stack.extend(reversed(each))
        elif isinstance(each, dict) and each.get("type") not in _PICTURES:
            for name, member in reversed(each.items()):
                if name not in _UNREAD:
                    stack += (member, name) if named and isinstance(member, dict | list) else (member,)


def answered_text(body: bytes) -> str:
    """All that a model wrote in a whole answer; empty for what is no JSON object."""
    try:
        row = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(row, dict):
        return ""
    return "\n".join(_written([row.get(name) for name in ("choices", "content", "output")]))


def _written(value: object) -> Iterator[str]:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack.extend(reversed(each))
        elif isinstance(each, dict):
            if each.get("type") == "tool_use":
                yield orjson.dumps(each.get("input")).decode()
            for name, member in each.items():
                if isinstance(member, str):
                    if name in _SAID:
                        yield member
                else:
                    stack.append(member)
