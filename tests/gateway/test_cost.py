"""What a request costs, in counts and not in times, so that a busy machine counts the same.

One warm chat request that is not streamed, with every limit on. The client and the provider stand outside of what is
counted: the gateway has a thread of its own, the provider a process.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

import orjson
import pytest
import pytest_asyncio
import uvloop
from prometheus_client import CollectorRegistry

from omni.contracts.money import Budget
from omni.gateway import app
from omni.gateway.admission import ledger
from omni.gateway.app import Gateway
from omni.gateway.config import GatewayConfig
from tests.bars.processes import Fleet
from tests.gateway.conftest import make_config
from tests.gateway.providers import CHAT, budget, model, provider, publish, target
from tests.gateway.support import ControlPlane, RecordingLogger, RedisServer, Tenant, ask, request

CALLS_LIMIT = 125
"""Calls of Python functions for a request, also of resumed coroutines: a twelfth more than were needed when this was
written."""
BLOCKS_LIMIT = 200
"""Blocks of memory that may stay after `REQUESTS` of them: one for a request would be a leak."""
REQUESTS = 1_000
NEVER_SECONDS = 3_600.0
MANY = 10**9
LIMITS: dict[str, Any] = {
    "requests_per_minute": MANY, "request_burst": MANY, "tokens_per_minute": MANY, "requests_per_month": MANY,
    "compute_ms_per_month": MANY, "concurrent_requests": MANY,
}  # fmt: skip
KEY_LIMITS = {"requests_per_minute": MANY, "tokens_per_minute": MANY, "concurrent_requests": MANY}


class GatewayThread:
    """A gateway in a thread of its own, whose calls of Python functions are counted."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._ready: SimpleQueue[Gateway] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="gateway")
        self.calls = 0
        self.gateway: Gateway

    def start(self) -> None:
        self._thread.start()
        self.gateway = self._ready.get(timeout=15)

    def stop(self) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self.gateway.drain(0.2), self._loop).result(15)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(15)

    def look(self, at: Callable[[], int]) -> int:
        """What a function says in the gateway's thread, once all that was under way there is done."""
        assert self._loop is not None
        said: SimpleQueue[int] = SimpleQueue()
        for _ in range(2):
            self._loop.call_soon_threadsafe(lambda: said.put(at()))
        said.get(timeout=15)
        return said.get(timeout=15)

    def _run(self) -> None:
        self._loop = loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._begin())
        sys.setprofile(self._count)
        loop.run_forever()
        sys.setprofile(None)
        loop.close()

    async def _begin(self) -> None:
        gateway = Gateway(self._config, CollectorRegistry(), RecordingLogger())
        await gateway.start()
        self._ready.put(gateway)

    def _count(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            self.calls += 1


class Caller:
    """A client that says the same again and again."""

    def __init__(self, port: int, tenant: Tenant) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        body = orjson.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 64})
        self._request = request("POST", CHAT, {**tenant.bearer, "content-type": "application/json"}, body)

    def ask(self) -> None:
        self._socket.sendall(self._request)
        said = b""
        while not said.endswith(b"}"):
            said += self._socket.recv(65_536)
        assert said.startswith(b"HTTP/1.1 200 OK\r\n"), said

    def close(self) -> None:
        self._socket.close()


@pytest_asyncio.fixture
async def upstream_url(tmp_path: Path) -> AsyncIterator[str]:
    fleet = Fleet(tmp_path)
    yield (await fleet.upstream())[1]
    fleet.kill()


@pytest_asyncio.fixture
async def warm(
    own_redis: RedisServer, own_control: ControlPlane, tmp_path: Path, upstream_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[GatewayThread, Caller]]:  # fmt: skip
    """A gateway that does nothing but serve, and a caller whose requests it knows."""
    monkeypatch.setattr(app, "_SWEEP_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr(ledger, "_RESEND_SECONDS", 0.0)
    config = make_config(
        own_redis.url, upstream_url, tmp_path / "spool", redis_timeout_seconds=60.0,
        lag_check_seconds=NEVER_SECONDS, snapshot_fresh_seconds=NEVER_SECONDS, snapshot_stale_seconds=NEVER_SECONDS,
    )  # fmt: skip
    thread = GatewayThread(config)
    thread.start()
    await publish(own_control, thread.gateway, [provider(upstream_url)], [model("gpt", target())])
    tenant = await own_control.tenant(key=KEY_LIMITS, **LIMITS)
    key = tenant.key
    budgets = (
        Budget("tenant", key.tenant_id, "month", MANY * MANY, hard=True),
        Budget("project", key.project_id, "day", MANY * MANY, hard=True),
        Budget("key", key.key_id, "all", MANY * MANY, hard=True),
    )
    await budget(own_control, tenant, *budgets, credit_nanos=10**14)
    caller = Caller(thread.gateway.ports.public, tenant)
    for _ in range(300):
        caller.ask()
    yield thread, caller
    caller.close()
    await asyncio.to_thread(thread.stop)


async def test_a_request_makes_so_many_calls_of_python_functions(warm: tuple[GatewayThread, Caller]) -> None:
    thread, caller = warm

    def count() -> int:
        return thread.look(lambda: thread.calls)

    def costs(work: Callable[[], None]) -> int:
        before = count()
        work()
        return count() - before

    nothing = min(costs(lambda: None) for _ in range(100))
    found = Counter(costs(caller.ask) - nothing for _ in range(300))
    assert found.most_common(1)[0][0] <= CALLS_LIMIT, found


async def test_requests_leave_nothing_behind(warm: tuple[GatewayThread, Caller]) -> None:
    thread, caller = warm

    def blocks() -> int:
        gc.collect()
        return thread.look(sys.getallocatedblocks)

    def left() -> int:
        before = blocks()
        for _ in range(REQUESTS):
            caller.ask()
        return blocks() - before

    blocks()
    # Other threads of the process allocate now and then; what requests leave, they leave each time.
    assert min(left() for _ in range(3)) <= BLOCKS_LIMIT


async def test_a_request_is_two_scripts_and_nothing_else_in_redis(
    warm: tuple[GatewayThread, Caller], own_control: ControlPlane
) -> None:
    thread, caller = warm
    count = 50
    batches = await written(thread)
    async with own_control.redis.monitor() as monitor:
        for _ in range(count):
            caller.ask()
        await own_control.redis.set("the-end", 1)
        commands: Counter[tuple[str, str]] = Counter()
        async for said in monitor.listen():
            if said["client_type"] == "lua":
                continue
            if "the-end" in said["command"]:
                break
            commands[said["client_port"], said["command"].split(" ")[0].upper()] += 1
    port = next(port for port, name in commands if name == "EVALSHA")
    assert {name: number for (of, name), number in commands.items() if of == port} == {"EVALSHA": 2 * count}
    assert await written(thread) - batches <= 2 * count


async def written(thread: GatewayThread) -> int:
    """Batches of commands that went to Redis."""
    scrape = (await ask(thread.gateway.ports.metrics, "GET", "/metrics")).body.decode()
    [value] = re.findall(r"^omni_redis_round_trips_total (\S+)$", scrape, re.MULTILINE)
    return int(float(value))
