"""Answers to questions that mean the same: which requests can be compared, and how near their vectors are.

What is compared is the text of the last message of the user; all else in the request has to be equal. Vectors are kept
as int8 with a sign bit each: the Hamming distance of the signs picks the few whose cosine is worked out (Charikar 2002,
"Similarity estimation techniques from rounding algorithms", with the axes for hyperplanes).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from operator import mul
from typing import Any

from omni.contracts.wire import ModelRequest
from omni.gateway.cache.keys import request_digest

_TEXT_LIMIT_CHARS = 2_000
_EXACT_COMPARISONS = 8
_HEAD = struct.Struct("<32sf")
_TEXT_PARTS = ("text", "input_text")


class Question:
    """What a request asks, and the digest of everything around it."""

    __slots__ = ("surroundings", "text")

    def __init__(self, text: str, surroundings: str) -> None:
        self.text = text
        self.surroundings = surroundings


class Vector:
    """A vector with a sign bit and an int8 for each component."""

    __slots__ = ("norm", "parts", "signs")

    def __init__(self, values: Iterable[float]) -> None:
        """Raises ValueError for what has no direction."""
        floats = list(values)
        largest = max(map(abs, floats), default=0.0)
        if not (largest > 0 and math.isfinite(largest)) or len(floats) % 8:
            raise ValueError("not a vector")
        whole = [round(value * 127 / largest) for value in floats]
        self.parts = struct.pack(f"{len(whole)}b", *whole)
        self.signs = int("".join(["1" if value < 0 else "0" for value in whole]), 2)
        self.norm = math.sqrt(sum(map(mul, whole, whole)))

    def pack(self, digest: str) -> bytes:
        """The vector of the entry of that digest, as it is stored."""
        size = len(self.parts)
        return _HEAD.pack(bytes.fromhex(digest), self.norm) + self.signs.to_bytes(size // 8, "big") + self.parts


def question_of(request: ModelRequest, scope: bytes) -> Question | None:
    """What is asked, where the last message is the user's and is text alone."""
    fields = request.fields
    if request.operation in ("chat", "messages"):
        found = _last_text(fields.get("messages"))
        name = "messages"
    elif request.operation == "responses":
        given = fields.get("input")
        found = (given, []) if isinstance(given, str) else _last_text(given)
        name = "input"
    else:
        return None
    if found is None or not found[0].strip() or len(found[0]) > _TEXT_LIMIT_CHARS:
        return None
    return Question(found[0], request_digest(request, scope + b"\nnear", {**fields, name: found[1]}))


def _last_text(messages: object) -> tuple[str, list[Any]] | None:
    """The text of the last message, and the messages with a gap for it."""
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        return None
    last: Mapping[str, Any] = messages[-1]
    content = last.get("content")
    if last.get("role") != "user" or last.get("type") not in (None, "message"):
        return None
    if isinstance(content, list):
        if len(content) != 1 or not isinstance(content[0], dict) or content[0].get("type") not in _TEXT_PARTS:
            return None
        content = content[0].get("text")
    return (content, [*messages[:-1], {**last, "content": None}]) if isinstance(content, str) else None


def nearest(stored: Iterable[bytes], asked: Vector, threshold_per_mille: int) -> list[str]:
    """Digests of the entries whose questions are at least so near, the nearest first."""
    size = len(asked.parts)
    from_signs, from_parts = _HEAD.size, _HEAD.size + size // 8
    ranked = sorted(
        ((int.from_bytes(row[from_signs:from_parts], "big") ^ asked.signs).bit_count(), row)
        for row in stored
        if len(row) == from_parts + size
    )
    mine = memoryview(asked.parts).cast("b")
    found: list[tuple[float, str]] = []
    for _, row in ranked[:_EXACT_COMPARISONS]:
        digest, norm = _HEAD.unpack_from(row)
        cosine = sum(map(mul, mine, memoryview(row)[from_parts:].cast("b"))) / (asked.norm * norm)
        if round(cosine * 1000) >= threshold_per_mille:
            found.append((cosine, digest.hex()))
    return [digest for _, digest in sorted(found, reverse=True)]
