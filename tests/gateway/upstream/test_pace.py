"""Streams that rest while the event loop is busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from omni.gateway.upstream.answers import BackendResponse
from omni.gateway.upstream.pace import Pace
from omni.gateway.upstream.pools import Backend
from omni.kit.errors import OmniError, UpstreamFailed
from tests.gateway.conftest import make_config
from tests.gateway.upstream.scripted import ScriptedProvider, asked

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECES = [b"data: %d\n\n" % number for number in range(60)]


class Stream:
    """Notes when it is woken."""

    def __init__(self, name: int, woken: list[int]) -> None:
        self.name = name
        self.woken = woken

    def wake(self) -> None:
        self.woken.append(self.name)


class Provider(ScriptedProvider):
    """Streams its pieces one after the other; ends within a piece when it `breaks`."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks = False

    async def say(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(HEAD)
        for piece in PIECES:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.002)
        writer.write(b"5\r\nda" if self.breaks else b"0\r\n\r\n")
        return not self.breaks


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    started = Provider()
    yield started
    started.stop()


@pytest_asyncio.fixture
async def pace() -> Pace:
    """Of a loop that is busy until somebody looks."""
    made = Pace()
    made.busy = True
    return made


@pytest_asyncio.fixture
async def backend(provider: Provider, pace: Pace, tmp_path: Path) -> AsyncIterator[Backend]:
    config = make_config("redis://127.0.0.1", "http://127.0.0.1:1", tmp_path)
    opened = Backend(await provider.start(), config, ours=False, pace=pace)
    yield opened
    opened.close()


async def pumped(response: BackendResponse) -> list[bytes]:
    got: list[bytes] = []

    def take(data: bytes) -> bool:
        got.append(data)
        return True

    async with asyncio.timeout(5):
        assert await response.pump(take)
    return got


async def test_a_loop_is_busy_from_one_share_of_a_core_to_another() -> None:
    used = [0.0]
    pace = Pace(lambda: used[0])
    now = asyncio.get_running_loop().time() + 1
    pace.sweep(now)
    for share, busy in ((0.6, False), (0.8, True), (0.5, True), (0.3, False), (0.5, False), (0.95, True)):
        used[0] += share
        now += 1
        pace.sweep(now)
        assert pace.busy is busy, share


async def test_a_loop_that_comes_late_is_busy() -> None:
    pace = Pace(lambda: 0.0)
    now = asyncio.get_running_loop().time()
    for passed, busy in ((0.1, False), (0.11, False), (0.2, True), (0.1, False)):
        now += passed
        pace.sweep(now)
        assert pace.busy is busy, passed


@pytest.mark.parametrize("count", [1, 10, 400])
async def test_those_that_rest_are_woken_in_order_and_not_all_at_once(count: int) -> None:
    pace, woken = Pace(), list[int]()
    for number in range(count):
        pace.rest(Stream(number, woken))
    assert not woken
    seen = []
    async with asyncio.timeout(5):
        while len(woken) < count:
            await asyncio.sleep(0)
            seen.append(len(woken))
    assert woken == list(range(count))
    seen = seen[: seen.index(next(number for number in seen if number >= count / 4)) + 1]  # before any is overdue
    most = max(after - before for before, after in zip([0, *seen], seen, strict=False))
    assert most <= 1 + count // 150


async def test_none_rests_for_long_where_turns_are() -> None:
    pace, woken = Pace(), list[int]()
    for number in range(1_000):
        pace.rest(Stream(number, woken))
    loop = asyncio.get_running_loop()
    for _ in range(4):  # turns of a tenth of a second each
        loop.call_soon(_work_for, 0.1)
        await asyncio.sleep(0.002)
    async with asyncio.timeout(5):
        while len(woken) < 1_000:
            await asyncio.sleep(0)
    assert woken == list(range(1_000))


def _work_for(seconds: float) -> None:
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        pass


async def test_a_stream_that_rests_passes_whole_in_fewer_pieces(
    backend: Backend, provider: Provider, pace: Pace
) -> None:
    others = list[int]()

    async def crowd() -> None:
        while True:  # so many rest that each has to for a while
            for number in range(20 - len(pace._resting)):
                pace.rest(Stream(number, others))
            await asyncio.sleep(0.001)

    crowding = asyncio.create_task(crowd())
    rested = await pumped(await asked(backend))
    crowding.cancel()
    pace.busy = False
    at_once = await pumped(await asked(backend))
    assert b"".join(rested) == b"".join(at_once) == b"".join(PIECES)
    assert len(rested) < len(PIECES) / 2 < len(at_once)
    assert provider.connections == 1


async def test_a_stream_that_breaks_while_it_rests_is_broken(backend: Backend, provider: Provider) -> None:
    provider.breaks = True
    response = await asked(backend)
    with pytest.raises(UpstreamFailed):
        await pumped(response)


async def test_a_stream_is_given_up_while_it_rests(backend: Backend, provider: Provider, pace: Pace) -> None:
    response = await asked(backend)
    pumping = asyncio.create_task(pumped(response))
    await asyncio.sleep(0.02)
    response.abort(OmniError("given_up", "Given up."))
    with pytest.raises(OmniError, match="Given up"):
        await pumping
    async with asyncio.timeout(5):
        await provider.left.wait()
    await asyncio.sleep(0.05)
    assert not pace._resting  # waking a connection that is gone does nothing
