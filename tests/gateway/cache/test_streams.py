"""Streams from the cache and into it: what is captured from one form can be given in the other."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import orjson
import pytest

from omni.contracts.wire import ModelRequest, Usage
from omni.gateway.cache.capture import Capture, is_complete
from omni.gateway.cache.replay import as_stream
from omni.providers.formats.sse import SseParser
from tests.gateway.cache.support import cached_tenant, outcomes, post
from tests.gateway.providers import DONE, chat, completion, delta, says, streams, usage_event, whole
from tests.gateway.support import ControlPlane, FakeBackend, Received

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
CHAT_ROW: dict[str, Any] = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt", "system_fingerprint": "fp", "usage": USAGE,
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello €", "reasoning_content": "Hm."},
         "logprobs": {"content": [{"token": "Hello"}]}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
         "logprobs": None, "finish_reason": "tool_calls"},
    ],
}  # fmt: skip
COMPLETION_ROW: dict[str, Any] = {
    "id": "c1", "object": "text_completion", "created": 1, "model": "gpt", "usage": USAGE,
    "choices": [{"index": 0, "text": "once", "logprobs": None, "finish_reason": "length"}],
}  # fmt: skip
MESSAGE_ROW: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
    "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 1},
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "text", "text": "Hello €"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1, "b"]}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ],
}  # fmt: skip
RESPONSE_ROW: dict[str, Any] = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt", "status": "completed",
    "incomplete_details": None, "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {"id": "m_1", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "Hello €", "annotations": [], "logprobs": []},
            {"type": "refusal", "refusal": "No."},
        ]},
        {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "f",
         "arguments": '{"a":1}'},
    ],
}  # fmt: skip


def asked(operation: Any, **fields: Any) -> ModelRequest:
    return ModelRequest(operation, b"", b"application/json", fields, "gpt", stream=True)


@pytest.mark.parametrize(
    ("operation", "row"),
    [("chat", CHAT_ROW), ("completions", COMPLETION_ROW), ("messages", MESSAGE_ROW), ("responses", RESPONSE_ROW)],
    ids=["chat", "completions", "messages", "responses"],
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_replayed_stream_says_what_the_whole_answer_says(operation: Any, row: dict[str, Any], step: int) -> None:
    events = as_stream(asked(operation, stream_options={"include_usage": True}), orjson.dumps(row))
    capture = Capture(operation, 100_000)
    for start in range(0, len(events), step):
        capture.feed(events[start : start + step])
    body = capture.whole(None)
    assert body is not None
    assert orjson.loads(body) == row
    assert is_complete(operation, body)


def test_usage_is_replayed_to_who_asked_for_it() -> None:
    quiet = as_stream(asked("chat"), orjson.dumps(CHAT_ROW))
    loud = as_stream(asked("chat", stream_options={"include_usage": True}), orjson.dumps(CHAT_ROW))
    assert b'"usage"' not in quiet
    assert loud.endswith(b"\n\n" + DONE)
    assert orjson.loads(loud.split(b"\n\n")[-3][6:])["usage"] == USAGE


def test_replayed_responses_are_numbered_and_named() -> None:
    events = SseParser().feed(as_stream(asked("responses"), orjson.dumps(RESPONSE_ROW)))
    rows = [orjson.loads(event.data) for event in events]
    assert [row["sequence_number"] for row in rows] == list(range(len(rows)))
    assert [event.name.decode() for event in events] == [row["type"] for row in rows]
    assert rows[0]["type"] == "response.created"
    assert rows[-1] == {"type": "response.completed", "response": RESPONSE_ROW, "sequence_number": len(rows) - 1}


def test_a_capture_counts_what_the_client_was_not_told() -> None:
    capture = Capture("chat", 10_000)
    capture.feed(delta("Hi", "stop") + DONE)
    body = capture.whole(Usage({"input_tokens": 4, "output_tokens": 1}, final=True))
    assert body is not None
    assert orjson.loads(body)["usage"]["total_tokens"] == 5


@pytest.mark.parametrize(
    "data",
    [b"", delta("x"), b"data: {\n\n", b'data: {"error":{}}\n\n', b"data: " + b"x" * 2_000_000],
    ids=["nothing", "no end", "no JSON", "an error", "too long"],
)
def test_what_is_no_whole_stream_has_no_whole_answer(data: bytes) -> None:
    capture = Capture("chat", 3_000_000)
    capture.feed(data)
    assert capture.whole(None) is None


def test_a_capture_gives_up_at_its_limit_and_keeps_nothing() -> None:
    capture = Capture("chat", 1_000)
    for _ in range(100):
        capture.feed(delta("x" * 50))
    assert capture.given_up
    assert capture.whole(None) is None


def test_a_capture_grows_with_the_text_and_not_with_the_events() -> None:
    capture = Capture("chat", 10_000_000)
    event = delta("word")
    tracemalloc.start()
    for _ in range(20_000):
        capture.feed(event)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not capture.given_up
    assert size < 2_500_000, f"{size} bytes for {20_000 * len(event)} bytes of events"


def test_a_call_of_a_tool_far_away_takes_no_memory() -> None:
    capture = Capture("chat", 10_000)
    choice = {"index": 0, "delta": {"tool_calls": [{"index": 10**9}]}, "finish_reason": None}
    capture.feed(b"data: %b\n\n" % orjson.dumps({"choices": [choice]}))
    assert capture.given_up


@pytest.mark.parametrize(
    ("operation", "row", "complete"),
    [
        ("chat", {"choices": [{"finish_reason": "length"}]}, True),
        ("chat", {"choices": [{"finish_reason": "content_filter"}]}, False),
        ("chat", {"choices": [{"finish_reason": None}]}, False),
        ("chat", {"choices": None}, False),
        ("messages", {"stop_reason": "end_turn"}, True),
        ("messages", {"stop_reason": "refusal"}, False),
        ("responses", {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, True),
        ("responses", {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, False),
        ("responses", {"status": "failed"}, False),
        ("embeddings", {}, True),
        ("chat", [], False),
    ],
)
def test_which_answers_are_complete(operation: Any, row: Any, complete: bool) -> None:
    assert is_complete(operation, orjson.dumps(row)) is complete


async def test_a_stream_is_given_whole_and_again_as_a_stream(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    backend.handler = streams(delta("Hel"), delta("lo", "stop"), usage_event(9, 2), DONE)
    tenant = await cached_tenant(control)
    first = await chat(port, tenant, stream=True)
    assert first.headers["omni-cache"] == "miss"
    given = await chat(port, tenant)
    assert given.headers["omni-cache"] == "hit"
    row = orjson.loads(given.body)
    assert row["choices"][0]["message"]["content"] == "Hello"
    assert row["usage"]["total_tokens"] == 11, "though the first client did not ask for it"
    again = await chat(port, tenant, stream=True, stream_options={"include_usage": True})
    assert again.headers["content-type"].startswith("text/event-stream")
    assert (again.headers["omni-cache"], again.headers["cache-control"]) == ("hit", "no-store")
    assert b'"Hello"' in again.body
    assert b'"total_tokens":11' in again.body
    assert again.body.endswith(DONE)
    assert len(backend.received) == 1
    events = await control.wait_events(tenant.key.tenant_id, 3)
    assert outcomes(events) == ["exact", "exact", "target"]


async def test_a_whole_answer_is_given_as_a_stream_of_every_format(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await cached_tenant(control)
    hi = [{"role": "user", "content": "Hi"}]
    for path, fields, row, end in (
        ("/v1/completions", {"model": "gpt", "prompt": "Hi"}, COMPLETION_ROW, DONE),
        ("/v1/responses", {"model": "gpt", "input": "Hi"}, RESPONSE_ROW, b"event: response.completed\n"),
        ("/v1/messages", {"model": "claude", "messages": hi, "max_tokens": 9}, MESSAGE_ROW, b"event: message_stop\n"),
    ):
        backend.handler = says(whole(orjson.dumps(row)))
        assert (await post(port, tenant, fields, path)).status == 200
        reply = await post(port, tenant, {**fields, "stream": True}, path)
        assert reply.headers["omni-cache"] == "hit"
        assert end in reply.body
        assert "once" in reply.body.decode() or "Hello €" in reply.body.decode()
    assert len(backend.received) == 3


async def test_a_translated_stream_is_captured_in_the_clients_format(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    events = as_stream(asked("messages"), orjson.dumps({**MESSAGE_ROW, "stop_reason": "end_turn"}))
    backend.handler = streams(events)
    tenant = await cached_tenant(control)
    await chat(port, tenant, "claude", stream=True)
    given = await chat(port, tenant, "claude")
    assert given.headers["omni-cache"] == "hit"
    assert orjson.loads(given.body)["choices"][0]["message"]["content"] == "Hello €"


@pytest.mark.parametrize("events", [(delta("x" * 40),), (delta("x"), b'data: {"error":{"message":"no"}}\n\n', DONE)])
async def test_a_stream_that_broke_is_not_stored(
    port: int, control: ControlPlane, backend: FakeBackend, events: tuple[bytes, ...]
) -> None:
    backend.handler = streams(*events)
    tenant = await cached_tenant(control)
    await chat(port, tenant, stream=True)
    backend.handler = says(whole(completion()))
    assert (await chat(port, tenant)).headers["omni-cache"] == "miss"


async def test_what_cannot_be_given_as_a_stream_is_asked_for(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    odd = orjson.dumps({"id": "c", "choices": [{"index": 0, "finish_reason": "stop"}], "usage": USAGE})
    backend.handler = says(whole(odd))
    tenant = await cached_tenant(control)
    await chat(port, tenant)
    assert (await chat(port, tenant)).headers["omni-cache"] == "hit"
    backend.handler = streams(delta("Hello", "stop"), DONE)
    reply = await chat(port, tenant, stream=True)
    assert (reply.status, reply.headers["omni-cache"]) == (200, "bypass")
    assert b"Hello" in reply.body


async def test_streams_at_once_are_one_call(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    go = asyncio.Event()

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        if orjson.loads(request.body).get("stream"):
            await streams(delta("Hello", "stop"), usage_event(9, 2), DONE, wait=go)(request, writer)
        else:
            await go.wait()
            writer.write(whole(completion()))

    backend.handler = handler
    tenant = await cached_tenant(control)
    replies = [asyncio.create_task(chat(port, tenant, stream=bool(number % 2))) for number in range(10)]
    while not backend.received:
        await asyncio.sleep(0)
    go.set()
    assert all(b"Hello" in reply.body for reply in await asyncio.gather(*replies))
    assert len(backend.received) == 1
