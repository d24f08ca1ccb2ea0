"""Steady load on gateways, over connections that stay open, with every answer written down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.gateway.support import EMBEDDINGS, Client, Tenant, request


@dataclass(slots=True)
class Answer:
    """When it was asked, how long it took (seconds), and what came: 0 = no answer."""

    at: float
    seconds: float
    status: int


@dataclass(slots=True)
class Load:
    """Clients that ask one after the other until told to stop."""

    answers: list[Answer] = field(default_factory=list)
    stopping: bool = False

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    async def run(self, port: int, tenant: Tenant, clients: int, rps: float) -> None:
        """Asks about `rps` times a second in all."""
        await asyncio.gather(*(self._client(port, tenant, clients / rps, number) for number in range(clients)))

    async def _client(self, port: int, tenant: Tenant, every_seconds: float, number: int) -> None:
        loop = asyncio.get_running_loop()
        next_at = loop.time() + every_seconds * number / 16
        connection: Client | None = None
        while not self.stopping:
            await asyncio.sleep(max(0.0, next_at - loop.time()))
            next_at = max(next_at + every_seconds, loop.time() - every_seconds)
            started = loop.time()
            try:
                if connection is None:
                    connection = await Client.connect(port)
                connection.send(request("POST", EMBEDDINGS, tenant.bearer, b"{}"))
                async with asyncio.timeout(20):
                    reply = await connection.reply()
            except (OSError, EOFError):
                self.answers.append(Answer(started, loop.time() - started, 0))
                if connection is not None:
                    connection.close()
                connection = None
                continue
            self.answers.append(Answer(started, loop.time() - started, reply.status if reply.complete else 0))
            if reply.headers.get("connection") == "close":
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


async def during(load: Load, running: Awaitable[None], work: Callable[[], Awaitable[None]]) -> None:
    """Runs the load while `work` is done, and stops it."""
    task = asyncio.ensure_future(running)
    try:
        await work()
    finally:
        load.stopping = True
        await task
