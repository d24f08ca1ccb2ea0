"""Whoever asked for it is told that a job has ended: signed, until they take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from omni.foundation import webhooks
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.outbound import OutboundPost
from omni.inference.jobs.repository import NewJob
from omni.inference.jobs.runner import Done, JobRunner, More, Slice
from omni.inference.jobs.service import JobService, submit
from omni.inference.jobs.webhooks import JobWebhooks, job_secret
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import JobMetrics
from tests.inference.jobs.conftest import MovingClock

KEY = b"w" * 32


@dataclass
class Receiver:
    """Takes posts on 127.0.0.1, and answers with the statuses that the test has queued, then 204."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        exact = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append(({name.lower(): value for name, value in exact.items()}, body))
        status = self.statuses.pop(0) if self.statuses else 204
        writer.write(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()


@dataclass
class World:
    database: Database
    runner: JobRunner
    webhooks: JobWebhooks
    receiver: Receiver
    clock: MovingClock
    tenant_id: UUID = field(default_factory=uuid7)

    async def ended(self, url: str | None) -> UUID:
        """A job that has ended."""
        expires_at = datetime.now(UTC) + timedelta(days=9)
        new = NewJob("trivial", {"a": 1}, uuid7(), None, "ef" * 32, None, expires_at, webhook_url=url)
        async with self.database.write(self.tenant_id) as session:
            job, _ = await submit(session, new)
        while await self.runner.run_next():
            pass
        return job.id

    async def log(self, job_id: UUID) -> list[str]:
        lines = await JobService(self.database, self.clock).log(self.tenant_id, job_id, 100, None)
        return [line.message for line in lines.data]


async def _trivial(_work: Slice) -> Done | More:
    return Done("succeeded", {}, {"file_id": "file-1"})


@pytest_asyncio.fixture
async def world(database: Database, system_database: SystemDatabase) -> AsyncIterator[World]:
    clock, receiver = MovingClock(), Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    metrics = JobMetrics(CollectorRegistry())
    runner = JobRunner(database, system_database.session, {"trivial": _trivial}, clock, metrics)
    sender = JobWebhooks(database, system_database.session, OutboundPost(allow_loopback=True), KEY, clock)
    yield World(database, runner, sender, receiver, clock)
    server.close()
    await server.wait_closed()


async def test_an_end_is_posted_once_and_signed_for_this_job(world: World) -> None:
    job_id = await world.ended(world.receiver.url)
    assert await world.webhooks.deliver_due() == 1
    assert await world.webhooks.deliver_due() == 0
    ((headers, body),) = world.receiver.got
    told = orjson.loads(body)
    assert (told["type"], told["data"]["id"]) == ("job.succeeded", str(job_id))
    assert told["data"]["result"] == {"file_id": "file-1"}
    assert headers["webhook-id"] == f"{job_id}.1"
    expected = webhooks.signature(
        job_secret(KEY, job_id), headers["webhook-id"], int(headers["webhook-timestamp"]), body
    )
    assert headers["webhook-signature"] == expected
    assert job_secret(KEY, uuid7()) != job_secret(KEY, job_id)


async def test_one_that_is_refused_is_sent_again_under_the_same_id(world: World) -> None:
    await world.ended(world.receiver.url)
    world.receiver.statuses = [500, 302]
    for pause in (timedelta(0), timedelta(seconds=31), timedelta(minutes=2, seconds=1)):
        world.clock.ahead += pause
        assert await world.webhooks.deliver_due() == 1
        assert await world.webhooks.deliver_due() == 0, "not before its pause is over"
    world.clock.ahead += timedelta(days=9)
    assert await world.webhooks.deliver_due() == 0
    assert len({headers["webhook-id"] for headers, _ in world.receiver.got}) == 1


async def test_it_is_given_up_after_the_last_pause_and_the_log_says_so(world: World) -> None:
    job_id = await world.ended(world.receiver.url)
    world.receiver.statuses = [503] * 20
    for pause in (timedelta(0), *webhooks.PAUSES, timedelta(days=9)):
        world.clock.ahead += pause + timedelta(seconds=1)
        await world.webhooks.deliver_due()
    assert len(world.receiver.got) == len(webhooks.PAUSES) + 1
    assert "The webhook was given up: the receiver answered with 503." in await world.log(job_id)


async def test_who_wants_no_more_is_asked_no_more(world: World) -> None:
    await world.ended(world.receiver.url)
    world.receiver.statuses = [410]
    assert await world.webhooks.deliver_due() == 1
    world.clock.ahead += timedelta(days=9)
    assert await world.webhooks.deliver_due() == 0


async def test_our_own_network_is_never_posted_to(world: World, system_database: SystemDatabase) -> None:
    job_id = await world.ended(world.receiver.url)
    strict = JobWebhooks(world.database, system_database.session, OutboundPost(), KEY, world.clock)
    for pause in (timedelta(0), *webhooks.PAUSES):
        world.clock.ahead += pause + timedelta(seconds=1)
        await strict.deliver_due()
    assert not world.receiver.got
    assert any("must begin with https" in line for line in await world.log(job_id))


async def test_nobody_is_told_of_jobs_without_a_webhook(world: World) -> None:
    await world.ended(None)
    assert await world.webhooks.deliver_due() == 0


@pytest.mark.parametrize("statuses", [[], [500]])
async def test_two_workers_tell_it_once(world: World, statuses: list[int]) -> None:
    await world.ended(world.receiver.url)
    world.receiver.statuses = statuses
    assert sum(await asyncio.gather(*(world.webhooks.deliver_due() for _ in range(4)))) == 1
