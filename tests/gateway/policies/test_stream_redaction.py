"""Redaction in streams of every format, with the text cut at every position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from omni.contracts.wire import StreamTranslator
from omni.gateway.cache.capture import Capture
from omni.gateway.policies.personal_data import LONGEST
from omni.gateway.policies.redaction import Placeholders
from omni.gateway.policies.stream_redaction import RedactedStream
from omni.gateway.policies.texts import delta_texts
from omni.providers.formats import chat, messages, responses
from omni.providers.formats.from_messages import MessagesWatcher
from omni.providers.formats.sse import SseParser, sse_event
from omni.providers.formats.streams import PassedStream
from omni.providers.openai.stream import ChatWatcher, ResponsesWatcher

TEXT = "Write to ana@example.si or +386 41 123 456; IBAN SI56 1910 0000 0123 438."
CLEAN = "Write to [EMAIL_1] or [PHONE_1]; IBAN [IBAN_1]."
SECRETS = (b"ana@", b"123 456", b"1910", b"0000")
BASE = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}


def redacting(inner: StreamTranslator) -> RedactedStream:
    return RedactedStream(inner, Placeholders())


def chat_events(pieces: list[str]) -> list[bytes]:
    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": {"content": [{"token": "ana@"}]}}
        return sse_event(orjson.dumps({**BASE, "choices": [choice]}))

    usage = sse_event(orjson.dumps({**BASE, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}))
    return [event({"role": "assistant"}), *(event({"content": each}) for each in pieces), event({}, "stop"), usage,
            chat.DONE]  # fmt: skip


def completion_events(pieces: list[str]) -> list[bytes]:
    rows = [{**BASE, "choices": [{"index": 0, "text": each, "finish_reason": None}]} for each in pieces]
    rows.append({**BASE, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    return [*(sse_event(orjson.dumps(row)) for row in rows), chat.DONE]


def message_events(pieces: list[str]) -> list[bytes]:
    def event(kind: str, **members: Any) -> bytes:
        return sse_event(orjson.dumps({"type": kind, **members}), kind.encode())

    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 3}}
    return [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": each}) for each in pieces),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2}),
        event("message_stop"),
    ]


def response_events(pieces: list[str]) -> list[bytes]:
    number = -1

    def event(kind: str, **members: Any) -> bytes:
        nonlocal number
        number += 1
        return sse_event(orjson.dumps({"type": kind, "sequence_number": number, **members}), kind.encode())

    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": [{"token": "ana@"}]}
    item = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    where = {"item_id": "i", "output_index": 0, "content_index": 0}
    return [
        event("response.created", response={"id": "r", "status": "in_progress", "output": []}),
        event("response.output_item.added", output_index=0, item={**item, "content": []}),
        *(event("response.output_text.delta", **where, delta=each, logprobs=[]) for each in pieces),
        event("response.output_text.done", **where, text=TEXT, logprobs=[]),
        event("response.content_part.done", **where, part=part),
        event("response.output_item.done", output_index=0, item=item),
        event("response.completed", response={"id": "r", "status": "completed", "output": [item]}),
    ]


def passed_chat() -> StreamTranslator:
    return PassedStream(ChatWatcher(strip_usage=False), chat.error_event)


FORMATS: dict[str, tuple[Callable[[list[str]], list[bytes]], Callable[[], StreamTranslator]]] = {
    "chat": (chat_events, passed_chat),
    "completions": (completion_events, passed_chat),
    "messages": (message_events, lambda: PassedStream(MessagesWatcher(), messages.error_event)),
    "responses": (response_events, lambda: PassedStream(ResponsesWatcher(), responses.error_event)),
}


def said(operation: Any, out: bytes) -> str:
    """The text of the whole answer that a stream says."""
    capture = Capture(operation, 1_000_000)
    capture.feed(out)
    body = capture.whole(None)
    assert body is not None
    row = orjson.loads(body)
    if operation == "chat":
        text = row["choices"][0]["message"]["content"]
    elif operation == "completions":
        text = row["choices"][0]["text"]
    elif operation == "messages":
        text = row["content"][0]["text"]
    else:
        text = row["output"][0]["content"][0]["text"]
    return str(text)


@pytest.mark.parametrize("operation", FORMATS)
def test_text_cut_at_every_position_leaves_clean(operation: str) -> None:
    write, reader = FORMATS[operation]
    for cut in range(len(TEXT) + 1):
        stream = redacting(reader())
        out = b""
        for event in write([TEXT[:cut], TEXT[cut:]]):
            out += stream.feed(event)
            assert stream.held_chars <= LONGEST
        out += stream.end()
        assert said(operation, out) == CLEAN
        assert not any(secret in out for secret in SECRETS)
        assert stream.finished


@pytest.mark.parametrize("operation", FORMATS)
def test_text_sign_by_sign_in_bytes_of_any_size(operation: str) -> None:
    write, reader = FORMATS[operation]
    data = b"".join(write(list(TEXT)))
    for step in (1, 13, 4_096):
        stream = redacting(reader())
        out = b"".join(stream.feed(data[at : at + step]) for at in range(0, len(data), step)) + stream.end()
        assert said(operation, out) == CLEAN
        assert not any(secret in out for secret in SECRETS)


def test_deltas_of_a_response_add_up_and_are_numbered() -> None:
    write, reader = FORMATS["responses"]
    stream = redacting(reader())
    out = b"".join(stream.feed(event) for event in write(list(TEXT))) + stream.end()
    rows = [orjson.loads(event.data) for event in SseParser().feed(out)]
    assert "".join(row["delta"] for row in rows if row["type"].endswith("text.delta")) == CLEAN
    assert [row["sequence_number"] for row in rows] == list(range(len(rows)))


def test_choices_do_not_mix() -> None:
    stream = redacting(passed_chat())
    out = b""
    for piece in ("ana@", "example.si x"):
        for index in (0, 1):
            choice: dict[str, Any] = {"index": index, "delta": {"content": piece}, "finish_reason": None}
            out += stream.feed(sse_event(orjson.dumps({**BASE, "choices": [choice]})))
    for index in (1, 0):
        choice = {"index": index, "delta": {}, "finish_reason": "stop"}
        out += stream.feed(sse_event(orjson.dumps({**BASE, "choices": [choice]})))
    capture = Capture("chat", 10_000)
    capture.feed(out)
    body = capture.whole(None)
    assert body is not None
    assert [choice["message"]["content"] for choice in orjson.loads(body)["choices"]] == ["[EMAIL_1] x"] * 2


def test_arguments_of_tools_stay_json() -> None:
    stream = redacting(passed_chat())
    out = b""
    for piece in ('{"to":"ana@', 'example.si","card":4111', '111111111111,"n":1}'):
        call: dict[str, Any] = {
            "index": 0,
            "id": "c",
            "type": "function",
            "function": {"name": "f", "arguments": piece},
        }
        choice: dict[str, Any] = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
        out += stream.feed(sse_event(orjson.dumps({**BASE, "choices": [choice]})))
    choice = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    out += stream.feed(sse_event(orjson.dumps({**BASE, "choices": [choice]})))
    arguments = "".join(
        call["function"].get("arguments", "")
        for event in SseParser().feed(out)
        for piece in orjson.loads(event.data)["choices"]
        for call in piece["delta"].get("tool_calls", ())
    )
    assert orjson.loads(arguments) == {"to": "[EMAIL_1]", "card": 0, "n": 1}


def test_a_transcription_is_cleaned_too() -> None:
    stream = redacting(PassedStream(ResponsesWatcher(), responses.error_event))
    rows = [{"type": "transcript.text.delta", "delta": piece} for piece in ("Mail ana@exa", "mple.si now")]
    rows.append({"type": "transcript.text.done", "text": "Mail ana@example.si now"})
    out = b"".join(stream.feed(sse_event(orjson.dumps(row))) for row in rows)
    assert b"ana@" not in out
    found = [orjson.loads(event.data) for event in SseParser().feed(out)]
    assert "".join(row.get("delta", "") for row in found) == "Mail [EMAIL_1] now"
    assert found[-1]["text"] == "Mail [EMAIL_1] now"


def test_what_has_nothing_to_say_passes() -> None:
    stream = redacting(passed_chat())
    assert stream.feed(b": comment\n\n") == b": comment\n\n"
    assert stream.feed(b"data: [1]\n\n") == b"data: [1]\n\n"
    assert stream.fail("x", "y") == chat.error_event("x", "y")


@pytest.mark.parametrize("operation", FORMATS)
def test_moderation_reads_the_same_text_in_every_format(operation: str) -> None:
    write, _ = FORMATS[operation]
    texts: dict[Any, str] = {}
    for event in SseParser().feed(b"".join(write(list(TEXT)))):
        if event.data != b"[DONE]":
            for key, piece in delta_texts(orjson.loads(event.data)):
                texts[key] = texts.get(key, "") + piece
    assert TEXT in texts.values()
