"""A gateway with `gpt` and `claude`; a moderation model where a test asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from omni.gateway.app import Gateway
from tests.gateway.cache.support import PRICES
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import model, provider, publish, target
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer

TEXTS = frozenset(("chat", "completions", "responses", "messages", "embeddings", "transcriptions", "images"))


async def catalogue(control: ControlPlane, gateway: Gateway, url: str, *, moderation: bool) -> None:
    models = [
        model("gpt", target(), operations=TEXTS),
        model("claude", target("claude", "anthropic"), operations=TEXTS),
    ]
    if moderation:
        models.append(model("watch", target("watch"), operations=frozenset(("moderations",))))
    await publish(control, gateway, [provider(url), provider(url, "anthropic", "anthropic")], models, PRICES)


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    backend: FakeBackend,
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:
    assert backend
    started = await start_gateway(shared_redis.url)
    await catalogue(control, started, backend_server[1], moderation=False)
    yield started


@pytest_asyncio.fixture
async def moderated(gateway: Gateway, control: ControlPlane, backend_server: tuple[FakeBackend, str]) -> Gateway:
    """The gateway with the moderation model `watch`."""
    await catalogue(control, gateway, backend_server[1], moderation=True)
    return gateway


@pytest.fixture
def port(gateway: Gateway) -> int:
    return gateway.ports.public
