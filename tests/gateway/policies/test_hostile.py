"""Requests and streams that no client and no provider should send: refused or passed on, never a fault of ours."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest

from omni.contracts.wire import BadAnswer, Usage
from omni.gateway.policies.redaction import Placeholders
from omni.gateway.policies.stream_redaction import RedactedStream
from omni.providers.formats import chat
from omni.providers.formats.sse import sse_event
from omni.providers.formats.streams import PassedStream
from tests.gateway.cache.support import settings
from tests.gateway.providers import CHAT, completion, says, whole
from tests.gateway.support import ControlPlane, FakeBackend, ask

DEEP = b'{"model":"gpt","messages":' + b"[" * 600 + b"]" * 600 + b"}"
SHAPES: tuple[dict[str, Any], ...] = (
    {"messages": "Hi"},
    {"messages": {"role": "user", "content": "Hi"}},
    {"messages": [None, 1, "Hi", [], {}]},
    {"messages": [{"role": ["user"], "content": {"type": ["tool_use"], "input": 5}}]},
    {"messages": [{"role": "user", "content": [{"type": {}, "text": 5}, {"type": "text"}]}]},
    {"messages": [{"role": "user", "content": [{"type": ["text"], "text": "Hi"}]}]},
    {"messages": [{"role": "user", "content": "a@b.si \x00 \ud7ff"}], "tools": "none"},
    {"messages": [], "tools": [{"type": ["function"]}, None, 5]},
    {"messages": [], "tools": {"type": "function"}},
    {"messages": [], "metadata": {"a@b.si": ["x@y.si", 4111111111111111]}, "user": ["a@b.si"]},
    {"messages": [], "stream_options": "all", "cache-control": []},
    {"prompt": {"a": "b"}, "input": 5},
)


@pytest.mark.parametrize("fields", [*SHAPES, None], ids=[*(str(number) for number in range(len(SHAPES))), "deep"])
async def test_odd_requests(
    port: int, control: ControlPlane, backend: FakeBackend, fields: dict[str, Any] | None
) -> None:
    backend.handler = says(whole(completion()))
    tenant = await control.tenant()
    await settings(
        control, tenant, cache_seconds=60, threshold=900, personal_data="redact", prompt_injection="block",
        max_output_tokens=9,
    )  # fmt: skip
    body = DEEP if fields is None else orjson.dumps({"model": "gpt", **fields})
    lines = {**tenant.bearer, "content-type": "application/json"}
    for _ in range(2):
        reply = await ask(port, "POST", CHAT, lines, body)
        assert reply.status in (200, 400)
    assert await control.holds(tenant.key.tenant_id) == 0


@pytest.mark.parametrize("policies", [{}, {"personal_data": "redact"}], ids=["cache alone", "with policies"])
async def test_a_body_too_deep_to_write(
    port: int, control: ControlPlane, backend: FakeBackend, policies: dict[str, Any]
) -> None:
    backend.handler = says(whole(completion()))
    tenant = await control.tenant()
    await settings(control, tenant, cache_seconds=60, **policies)
    deep = DEEP.replace(b"[]", b'["a@b.si"]')
    reply = await ask(port, "POST", CHAT, {**tenant.bearer, "content-type": "application/json"}, deep)
    assert reply.status == (400 if policies else 200)
    if not policies:
        assert reply.headers["omni-cache"] == "bypass"


class Anything:
    """A watcher that lets everything pass."""

    usage: Usage | None = None
    text_bytes = 0
    finished = False
    failed: str | None = None

    def see(self, name: bytes, row: dict[str, Any]) -> bool:
        return True

    def done(self) -> None:
        self.finished = True


@pytest.mark.parametrize(
    "row",
    [
        {"choices": [5]}, {"choices": [{"index": [], "delta": {"content": "x"}}]}, {"choices": [{"delta": 5}]},
        {"choices": [{"delta": {"tool_calls": [5]}}]},
        {"type": "content_block_delta", "index": {}, "delta": {"text": "x"}},
        {"type": [], "delta": "x", "item_id": {}}, {"type": "x.done", "text": {"a": []}}, {"type": None},
    ],
)  # fmt: skip
def test_odd_events(row: dict[str, Any]) -> None:
    stream = RedactedStream(PassedStream(Anything(), chat.error_event), Placeholders())
    with contextlib.suppress(BadAnswer):
        stream.feed(sse_event(orjson.dumps(row)))
