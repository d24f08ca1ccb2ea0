"""Who asks and who waits, without a gateway around it."""

from __future__ import annotations

import asyncio

import pytest

from omni.gateway.cache import flights as module
from omni.gateway.cache.entries import Entry, Hit
from omni.gateway.cache.flights import Flights, Turn
from omni.kit.errors import DeadlineExceeded

HIT = Hit("exact", Entry(b"application/json", b"{}", 0))


async def begin(flights: Flights, waiters: int, seconds: float = 5.0) -> tuple[int, list[asyncio.Task[Hit | Turn]]]:
    """The serial of a leader, and others that wait for it."""
    deadline = asyncio.get_running_loop().time() + seconds
    assert await flights.join("a", deadline) is Turn.LEAD
    serial = flights.serial("a")
    tasks = [asyncio.create_task(flights.join("a", deadline)) for _ in range(waiters)]
    await asyncio.sleep(0)
    return serial, tasks


@pytest.mark.parametrize("outcome", [HIT, Turn.ALONE], ids=["a hit", "nothing to share"])
async def test_all_who_wait_are_told(outcome: Hit | Turn) -> None:
    flights = Flights()
    serial, tasks = await begin(flights, 5)
    flights.end("a", serial, outcome)
    assert await asyncio.gather(*tasks) == [outcome] * 5
    assert len(flights) == 0


async def test_one_at_a_time_takes_over() -> None:
    flights = Flights()
    serial, tasks = await begin(flights, 3)
    for left in (2, 1, 0):
        flights.end("a", serial, Turn.LEAD)
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [Turn.LEAD]
        assert len(rest) == left
        tasks = list(rest)
        serial = flights.serial("a")
    flights.end("a", serial, Turn.LEAD)
    assert len(flights) == 0


async def test_a_slow_leader_is_overtaken_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.02)
    flights = Flights()
    serial, tasks = await begin(flights, 3)
    monkeypatch.setattr(module, "LOCK_SECONDS", 60.0)
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done] == [Turn.LEAD]
    flights.end("a", serial, Turn.LEAD)
    await asyncio.sleep(0)
    assert not any(task.done() for task in rest), "another leads by now"
    flights.end("a", flights.serial("a"), HIT)
    assert await asyncio.gather(*rest) == [HIT] * 2


async def test_who_waits_too_long_is_told() -> None:
    flights = Flights()
    serial, tasks = await begin(flights, 2, seconds=0.02)
    for task in tasks:
        with pytest.raises(DeadlineExceeded):
            await task
    flights.end("a", serial, Turn.LEAD)
    assert len(flights) == 0


async def test_who_gives_up_is_not_asked_to_lead() -> None:
    flights = Flights()
    serial, (first, second) = await begin(flights, 2)
    first.cancel()
    await asyncio.sleep(0)
    flights.end("a", serial, Turn.LEAD)
    assert await second is Turn.LEAD


async def test_an_old_leader_does_not_end_a_new_flight() -> None:
    flights = Flights()
    old, _ = await begin(flights, 0)
    flights.end("a", old, Turn.ALONE)
    await begin(flights, 0)
    flights.end("a", old, Turn.LEAD)
    assert len(flights) == 1
