"""A provider of chats on the loopback, and a model of the catalogue that it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import redis

from omni.contracts.redis_names import ROUTES
from tests.acceptance.platform import Platform, until
from tests.drill.server import JsonServer

UPSTREAM = "house-1"
READ, WRITTEN = 120, 30
"""What the provider says that each of its answers used."""


@contextmanager
def routed(platform: Platform, name: str, write: Callable[[dict[str, Any]], str]) -> Iterator[None]:
    """While it lasts, the operator's catalogue has a model of that name, whose answers are what `write` makes of
    requests in OpenAI's format."""

    def answer(path: str, body: bytes) -> tuple[int, Any]:
        assert path == "/v1/chat/completions"
        message = {"role": "assistant", "content": write(orjson.loads(body))}
        return 200, {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": UPSTREAM,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": READ, "completion_tokens": WRITTEN, "total_tokens": READ + WRITTEN},
        }  # fmt: skip

    server = JsonServer(answer)
    with platform.control() as control:
        sent = {"kind": "openai", "base_url": f"{server.url}/v1", "operations": ["chat"]}
        control.put(f"/api/operator/providers/{name}", json=sent).raise_for_status()
        target = {"id": name, "provider": name, "upstream_model": UPSTREAM}
        model = {"operations": ["chat"], "targets": [target], "unpriced": "flat"}
        control.put(f"/api/operator/models/{name}", json=model).raise_for_status()
        try:
            _wait_until_known(platform, name)
            yield
        finally:
            control.delete(f"/api/operator/models/{name}").raise_for_status()
            control.delete(f"/api/operator/providers/{name}").raise_for_status()
            server.close()


def _wait_until_known(platform: Platform, name: str) -> None:
    """First to Redis, where looking uses up no tenant's rate of requests, then to the gateway."""
    with redis.Redis.from_url(platform.run_file()["redis"]) as client:
        until(lambda: name.encode() in (client.get(ROUTES) or b""), 30, "the catalogue is published")
    with platform.api() as api:
        until(lambda: api.get(f"/v1/models/{name}").status_code == 200, 15, "the model is listed")
