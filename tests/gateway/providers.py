"""Scripted providers behind the gateway, and catalogues that name them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import orjson

from omni.contracts import redis_names
from omni.contracts.money import Budget, MoneySnapshot, PriceBook, Rate
from omni.contracts.routes import Kind, ModelRoute, Provider, RouteTable, Target
from omni.gateway.app import Gateway
from omni.kit.sealing import credential_place, seal
from tests.gateway.support import CREDENTIALS_KEY, ControlPlane, Received, Reply, Tenant, ask, eventually

CHAT = "/v1/chat/completions"
KEY = "sk-provider-secret-0123456789"
PER_TOKEN = 1_000
"""Nano-units for a token of any kind in `PRICES`."""
PRICES = PriceBook("EUR", {"": {"input_tokens": (Rate(0, PER_TOKEN, 1),), "output_tokens": (Rate(0, PER_TOKEN, 1),)}})


def provider(url: str, code: str = "openai", kind: Kind = "openai", **changes: Any) -> Provider:
    sealed = seal(CREDENTIALS_KEY, KEY.encode(), credential_place("platform", code))
    return Provider(code, kind, f"{url}/v1", base64.b64encode(sealed).decode(), **changes)


def model(name: str, *targets: Target, **changes: Any) -> ModelRoute:
    operations = frozenset(("chat", "completions", "responses", "messages", "embeddings", "images", "transcriptions"))
    return ModelRoute(**{"name": name, "operations": operations, "targets": targets, **changes})


def target(name: str = "gpt", code: str = "openai", **changes: Any) -> Target:
    return Target(**{"id": f"{name}@{code}", "provider": code, "upstream_model": name, **changes})


async def publish(
    control: ControlPlane,
    gateway: Gateway,
    providers: list[Provider],
    models: list[ModelRoute],
    prices: PriceBook = PRICES,
) -> None:
    """Publishes a catalogue, and returns when the gateway has it."""
    table = RouteTable({each.name: each for each in models}, {each.code: each for each in providers})
    await control.redis.set(redis_names.PRICES, prices.to_json())
    await control.redis.set(redis_names.ROUTES, table.to_json())
    await control.invalidate("routes")

    async def loaded() -> bool:
        return gateway.table == table

    await eventually(loaded)


async def budget(control: ControlPlane, tenant: Tenant, *budgets: Budget, credit_nanos: int | None = None) -> None:
    """Gives a tenant budgets and, where said, a wallet."""
    snapshot = MoneySnapshot(tenant.key.tenant_id, budgets, credit_nanos)
    await control.redis.set(redis_names.money_snapshot(tenant.key.tenant_id), snapshot.to_json())
    await control.invalidate(f"money {tenant.key.tenant_id}")


def completion(text: str = "Hello.", read: int = 10, written: int = 5, **usage: Any) -> bytes:
    """A chat completion as OpenAI gives it."""
    counts = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **usage}
    message = {"role": "assistant", "content": text}
    return orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": counts,
        }
    )


def whole(body: bytes, status: int = 200, headers: str = "") -> bytes:
    """An HTTP answer with JSON."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def delta(text: str, finish_reason: str | None = None) -> bytes:
    """One event of a chat stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    row = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": [choice]}
    return b"data: %b\n\n" % orjson.dumps(row)


def usage_event(read: int, written: int) -> bytes:
    """The last event of a chat stream before `[DONE]`."""
    counts = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    row = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": []}
    return b"data: %b\n\n" % orjson.dumps({**row, "usage": counts})


DONE = b"data: [DONE]\n\n"


def says(body: bytes) -> Callable[[Received, asyncio.StreamWriter], Any]:
    """A handler that answers every request alike."""

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(body)

    return handler


def streams(*events: bytes, wait: asyncio.Event | None = None) -> Callable[[Received, asyncio.StreamWriter], Any]:
    """A handler that streams these events, and ends once `wait` is set."""

    async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for event in events:
            writer.write(chunk(event))
            await writer.drain()
        if wait is not None:
            await wait.wait()
        writer.write(b"0\r\n\r\n")

    return handler


async def chat(
    port: int, tenant: Tenant, name: str = "gpt", headers: dict[str, str] | None = None, **fields: Any
) -> Reply:
    """One chat request."""
    body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], **fields}
    lines = {**tenant.bearer, "content-type": "application/json", **(headers or {})}
    return await ask(port, "POST", CHAT, lines, orjson.dumps(body))
