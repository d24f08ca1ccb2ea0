"""Commands of one turn of the event loop leave in one write; one that is alone does not wait for the turn's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from omni.gateway.redis.client import RedisClient
from tests.gateway.support import ControlPlane, RecordingLogger, RedisServer

PING = b"*1\r\n$4\r\nPING\r\n"


class Client:
    """A connected client and how often it wrote."""

    def __init__(self, url: str) -> None:
        self.writes = 0
        self.redis = RedisClient(url, (), timeout_seconds=1.0, on_flush=self._count_write, logger=RecordingLogger())

    def _count_write(self) -> None:
        self.writes += 1

    async def ping(self, count: int) -> None:
        """So many pings in one turn; returns when all are answered."""
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[Any]] = [loop.create_future() for _ in range(count)]
        for answer in answers:
            self.redis.post(PING, answer.set_result)
        assert await asyncio.gather(*answers) == [b"PONG"] * count


@pytest_asyncio.fixture
async def client(shared_redis: RedisServer, control: ControlPlane) -> AsyncIterator[Client]:
    assert control
    client = Client(shared_redis.url)
    client.redis.start()
    assert await client.redis.wait_connected(5)
    yield client
    await client.redis.close()


async def test_a_command_alone_leaves_at_once(client: Client) -> None:
    for _ in range(2):
        before = client.writes
        client.redis.post(PING, lambda _: None)
        assert client.writes == before + 1
        await asyncio.sleep(0.05)


async def test_many_of_one_turn_leave_in_one_write(client: Client) -> None:
    await client.ping(10)
    for count in (10, 3, 1):
        before = client.writes
        await client.ping(count)
        assert client.writes == before + 1, "what came together is likely to come together again"
    before = client.writes
    client.redis.post(PING, lambda _: None)
    assert client.writes == before + 1, "one came alone: the next does not wait"
