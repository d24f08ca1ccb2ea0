"""A gateway with models of every format at the scripted provider."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from omni.gateway.app import Gateway
from tests.gateway.cache.support import PRICES
from tests.gateway.conftest import StartGateway
from tests.gateway.providers import model, provider, publish, target
from tests.gateway.support import ControlPlane, FakeBackend, RedisServer


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    backend: FakeBackend,
    start_gateway: StartGateway,
) -> AsyncIterator[Gateway]:
    """A gateway with `gpt` at a provider of OpenAI's format and `claude` at one of Anthropic's."""
    assert backend
    started = await start_gateway(shared_redis.url)
    url = backend_server[1]
    operations = frozenset(("chat", "completions", "responses", "messages", "embeddings", "moderations"))
    await publish(
        control,
        started,
        [provider(url), provider(url, "anthropic", "anthropic")],
        [
            model("gpt", target(), operations=operations),
            model("claude", target("claude", "anthropic"), operations=operations),
        ],
        PRICES,
    )
    yield started


@pytest.fixture
def port(gateway: Gateway) -> int:
    return gateway.ports.public
