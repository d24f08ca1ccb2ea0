"""The subscription to invalidations comes back, whatever ended it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from omni.gateway.redis import client
from omni.gateway.redis.client import RedisSubscriber
from tests.gateway.support import ControlPlane, RedisServer, eventually

CHANNEL = "invalidations"


class Listener:
    """A subscriber and what it told of."""

    def __init__(self, url: str) -> None:
        self.messages: list[bytes] = []
        self.subscriptions = 0
        self.subscriber = RedisSubscriber(
            url, CHANNEL, on_message=self.messages.append, on_subscribed=self._count_subscription
        )

    def _count_subscription(self) -> None:
        self.subscriptions += 1

    async def hears(self, control: ControlPlane) -> bool:
        """Whether a message gets through."""
        self.messages.clear()
        await control.redis.publish(CHANNEL, "all")
        await asyncio.sleep(0.05)
        return self.messages == [b"all"]


@pytest_asyncio.fixture
async def listener(own_redis: RedisServer, own_control: ControlPlane) -> AsyncIterator[Listener]:
    listener = Listener(own_redis.url)
    listener.subscriber.start()
    await eventually(lambda: listener.hears(own_control))
    yield listener
    await listener.subscriber.close()


async def test_a_redis_that_kept_silent_is_subscribed_to_again_once(
    own_redis: RedisServer, own_control: ControlPlane, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_PUBSUB_PING_SECONDS", 0.05)
    monkeypatch.setattr(client, "_PUBSUB_SILENCE_LIMIT_SECONDS", 0.4)
    own_redis.signal(signal.SIGSTOP)
    await asyncio.sleep(1.5)  # the ping under way, silence, and some attempts to connect
    assert not listener.subscriber.subscribed
    own_redis.signal(signal.SIGCONT)
    await eventually(lambda: listener.hears(own_control))
    before = listener.subscriptions
    await asyncio.sleep(0.6)
    assert listener.subscriptions == before, "it stays subscribed"
    assert await listener.hears(own_control)


async def test_a_cut_connection_is_subscribed_to_again(own_control: ControlPlane, listener: Listener) -> None:
    for client_row in await own_control.redis.client_list("pubsub"):
        await own_control.redis.client_kill_filter(_id=client_row["id"])
    await eventually(lambda: listener.hears(own_control))
    assert listener.subscriptions == 2
