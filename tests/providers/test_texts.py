"""The text in requests and answers."""

from __future__ import annotations

import orjson
import pytest

from omni.providers.formats.texts import answered_text, asked_text
from tests.providers.support import Json
from tests.providers.test_hostile import CHAT, COMPLETION, MESSAGE, MESSAGES, RESPONSES


@pytest.mark.parametrize(
    ("fields", "words"),
    [(CHAT, {"s", "a", "b", "r", "e", "d"}), (MESSAGES, {"s", "a", "r", "d"}), (RESPONSES, {"i", "a", "r", "e"}),
     ({"input": ["a", "b"]}, {"a", "b"}), ({"prompt": "p"}, {"p"})],
)  # fmt: skip
def test_what_a_model_reads(fields: Json, words: set[str]) -> None:
    found = set(asked_text(fields).split("\n"))
    assert words <= found
    assert not any("base64" in word or word in ("AAAA", "c", "user") for word in found)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (COMPLETION, {"a", "h", "{}"}),
        ({"choices": [{"text": "old"}]}, {"old"}),
        (MESSAGE, {"h", "a", '{"a":1}'}),
        ({"output": [{"type": "message", "content": [{"type": "output_text", "text": "new"}]},
                     {"type": "function_call", "arguments": "{}", "name": "t"}]}, {"new", "{}"}),
    ],
)  # fmt: skip
def test_what_a_model_wrote(answer: Json, text: set[str]) -> None:
    assert set(answered_text(orjson.dumps(answer)).split("\n")) == text


def test_what_is_no_answer_has_no_text() -> None:
    assert answered_text(b"<html>") == answered_text(b"[]") == ""
