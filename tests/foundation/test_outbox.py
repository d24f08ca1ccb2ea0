"""Messages leave with the commit, at least once, in order; schedules run once for all workers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.outbox.messages import enqueue, first_time, forget_processed
from omni.foundation.outbox.relay import WAKE_CHANNEL, Message, bury, oldest_age_seconds, relay_batch
from omni.foundation.outbox.schedule import Schedule, enqueue_due


@pytest.fixture(autouse=True)
async def empty(system_database: SystemDatabase) -> None:
    async with system_database.session() as session:
        await session.execute(text("delete from outbox"))


class Sink:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, batch: Sequence[Message]) -> None:
        self.messages += batch


async def relayed(system_database: SystemDatabase) -> list[Message]:
    sink = Sink()
    async with system_database.session() as session:
        await relay_batch(session, sink.send)
    return sink.messages


async def test_a_message_leaves_with_the_commit_and_once(database: Database, system_database: SystemDatabase) -> None:
    some_id = uuid4()
    async with database.shared() as session:
        await enqueue(session, "a.first", thing_id=some_id)
        await enqueue(session, "a.second")
    found = await relayed(system_database)
    assert [(message.task, message.args) for message in found] == [
        ("a.first", {"thing_id": str(some_id)}),
        ("a.second", {}),
    ]
    assert await relayed(system_database) == []


async def test_a_rollback_takes_the_message_along(database: Database, system_database: SystemDatabase) -> None:
    async def fail() -> None:
        async with database.shared() as session:
            await enqueue(session, "a.never")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await relayed(system_database) == []


async def test_a_broken_queue_keeps_the_messages(database: Database, system_database: SystemDatabase) -> None:
    async with database.shared() as session:
        await enqueue(session, "a.waits")

    async def broken(_batch: Sequence[Message]) -> None:
        raise ConnectionError

    async def relay() -> None:
        async with system_database.session() as session:
            await relay_batch(session, broken)

    with pytest.raises(ConnectionError):
        await relay()
    async with system_database.session() as system:
        assert await oldest_age_seconds(system) > 0
    assert [message.task for message in await relayed(system_database)] == ["a.waits"]


async def test_two_relays_share_the_work(database: Database, system_database: SystemDatabase) -> None:
    async with database.shared() as session:
        for number in range(40):
            await enqueue(session, "a.many", number=number)
    first, second = Sink(), Sink()
    async with system_database.session() as one, system_database.session() as two:
        await relay_batch(one, first.send, limit=15)
        await relay_batch(two, second.send, limit=100)
    numbers = [message.args["number"] for message in first.messages + second.messages]
    assert sorted(numbers) == list(range(40))


async def test_the_commit_wakes_the_relay(database: Database, database_address: DatabaseAddress) -> None:
    dsn = database_address.url(Role.SYSTEM).set(drivername="postgresql").render_as_string(hide_password=False)
    listener = await asyncpg.connect(dsn)
    woken = asyncio.Event()
    try:
        await listener.add_listener(WAKE_CHANNEL, lambda *_: woken.set())
        async with database.shared() as session:
            await enqueue(session, "a.wakes")
        await asyncio.wait_for(woken.wait(), 5)
    finally:
        await listener.close()


async def test_the_working_role_cannot_read_the_outbox(database: Database) -> None:
    with pytest.raises(Exception, match="permission denied"):
        async with database.shared() as session:
            await session.execute(text("select * from outbox"))


async def test_a_message_is_new_only_once(database: Database, system_database: SystemDatabase) -> None:
    message_id = uuid4()
    async with database.shared() as session:
        assert await first_time(session, message_id)
    async with database.shared() as session:
        assert not await first_time(session, message_id)
    async with system_database.session() as session:
        assert await forget_processed(session, datetime.now(UTC) + timedelta(days=8)) >= 1
    async with database.shared() as session:
        assert await first_time(session, message_id)


async def test_a_due_run_is_taken_by_one_worker(system_database: SystemDatabase) -> None:
    schedule = Schedule(f"test-{uuid4()}", "a.tick", timedelta(minutes=10))
    now = datetime.now(UTC)

    async def worker() -> int:
        async with system_database.session() as session:
            return await enqueue_due(session, (schedule,), now)

    assert sum(await asyncio.gather(*(worker() for _ in range(5)))) == 1
    async with system_database.session() as session:
        assert await enqueue_due(session, (schedule,), now + timedelta(minutes=10)) == 1
    assert [message.task for message in await relayed(system_database)] == ["a.tick", "a.tick"]


async def test_what_failed_for_good_is_kept(system_database: SystemDatabase) -> None:
    message = Message(uuid4(), "a.fails", {"x": 1}, None, datetime.now(UTC))
    async with system_database.session() as session:
        await bury(session, message, "because", 8)
    async with system_database.session() as session:
        statement = text("select error from dead_messages where message_id = :id")
        assert await session.scalar(statement, {"id": message.id}) == "because"
