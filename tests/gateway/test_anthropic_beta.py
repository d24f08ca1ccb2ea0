"""The header `anthropic-beta` on its way to providers that know it."""

from __future__ import annotations

import orjson
import pytest

from tests.gateway.conftest import StartGateway
from tests.gateway.providers import completion, model, provider, publish, says, target, whole
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer, ask

OPERATIONS = frozenset(("chat", "messages", "count_tokens"))
MESSAGE = orjson.dumps(
    {
        "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1, "output_tokens": 1},
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name", "sent", "arrives"),
    [
        ("/v1/messages", "claude", "context-1m-2025-08-07", "context-1m-2025-08-07"),
        ("/v1/messages", "claude", "a-1,b_2 , c.3\r\nanthropic-beta: d", "a-1,b_2 , c.3, d"),
        ("/v1/messages", "gpt", "a-1", None),
        ("/v1/chat/completions", "claude", "a-1", None),
        ("/v1/messages/count_tokens", "claude", "a-1", "a-1"),
        ("/v1/messages", "claude", "a b", 400),
        ("/v1/messages", "claude", "a,,b", 400),
        ("/v1/messages", "claude", "", 400),
        ("/v1/messages", "claude", "a: b", 400),
        ("/v1/messages", "claude", "x" * 1025, 400),
    ],
)
async def test_where_the_header_goes(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, backend_server: tuple[FakeBackend, str],
    start_gateway: StartGateway, path: str, name: str, sent: str, arrives: str | int | None,
) -> None:  # fmt: skip
    gateway = await start_gateway(shared_redis.url)
    url = backend_server[1]
    models = [
        model(each, target(each, code), operations=OPERATIONS)
        for each, code in (("claude", "anthropic"), ("gpt", "openai"))
    ]
    await publish(control, gateway, [provider(url), provider(url, "anthropic", "anthropic")], models)
    tenant = await control.tenant()
    counted = orjson.dumps({"input_tokens": 3})
    backend.handler = says(whole(completion() if name == "gpt" else counted if "count" in path else MESSAGE))
    body = orjson.dumps({"model": name, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]})
    headers = {**tenant.bearer, "content-type": "application/json", "anthropic-beta": sent}
    reply = await ask(gateway.ports.public, "POST", path, headers, body)
    if arrives == 400:
        assert (reply.status, orjson.loads(reply.body)["type"]) == (400, "error")
        assert "anthropic-beta" in orjson.loads(reply.body)["error"]["message"]
        assert not backend.received
        return
    assert reply.status == 200
    assert backend.received[0].headers.get("anthropic-beta") == arrives
