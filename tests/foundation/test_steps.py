"""What a request does is in spans below its own: statements, commands, calls, mail; with nothing of their content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httpx2
import pytest
import redis.asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.http_client import create_http_client
from omni.foundation.mail import Mail, SmtpMailer
from omni.foundation.outbound import OutboundPost
from omni.foundation.outbox.messages import enqueue
from omni.foundation.outbox.relay import Message, relay_batch
from omni.foundation.redis_client import create_redis
from omni.telemetry.finished import FinishedSpan
from omni.telemetry.local_traces import STEPS_LIMIT, client_call, current_trace
from omni.telemetry.traces import Tracing
from omni.testing.traces import KeptSpans

CANARY = "canary-51b8"


def steps_of(kept: KeptSpans) -> list[FinishedSpan]:
    """All but the root, which is their parent."""
    [(root, *steps)] = kept.parts
    assert all((step.trace_id, step.parent_id) == (root.trace_id, root.span_id) for step in steps)
    assert all(root.start_nanos <= step.start_nanos <= step.end_nanos <= root.end_nanos for step in steps)
    assert CANARY not in repr(kept.parts)
    return steps


@pytest.fixture
def kept() -> KeptSpans:
    return KeptSpans()


@pytest.fixture
def tracing(kept: KeptSpans) -> Tracing:
    return kept.tracing()


@dataclass
class Receiver:
    """An HTTP server that keeps the heads of what it is sent."""

    url: str = ""
    heads: list[str] = field(default_factory=list)
    status: int = 204


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % made.status)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook/{CANARY}?token={CANARY}"
    yield made
    server.close()
    await server.wait_closed()


async def test_statements_are_spans(database_address: DatabaseAddress, kept: KeptSpans, tracing: Tracing) -> None:
    database = Database(create_engine(database_address.url(Role.APP), "tests", PoolSettings()))
    with tracing.server_span("GET", ""):
        async with database.shared() as session:
            await session.execute(text("select cast(:canary as text) from plans"), {"canary": CANARY})
        with pytest.raises(DBAPIError):
            async with database.shared() as session:
                await session.execute(text("select cast(cast(:canary as text) as int) from plans"), {"canary": CANARY})
    await database.close()
    good, bad = steps_of(kept)
    assert (good.name, good.kind, good.is_error) == ("SELECT plans", "client", False)
    assert good.attributes == {
        "db.system.name": "postgresql", "db.operation.name": "SELECT", "db.query.summary": "SELECT plans",
    }  # fmt: skip
    assert (bad.name, bad.is_error, bad.attributes["error.type"]) == ("SELECT plans", True, "22P02")


async def test_commands_are_spans(redis_url: str, kept: KeptSpans, tracing: Tracing) -> None:
    client = create_redis(redis_url)
    with tracing.task_span("publish", None):
        await client.set(f"name-{CANARY}", CANARY)
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.get(f"name-{CANARY}")
            pipeline.get(f"name-{CANARY}")
            assert await pipeline.execute() == [CANARY.encode()] * 2
        with pytest.raises(redis.ResponseError):
            await client.incr(f"name-{CANARY}")
    await client.aclose()
    assert [(step.name, step.kind, step.is_error, dict(step.attributes)) for step in steps_of(kept)] == [
        ("SET", "client", False, {"db.system.name": "redis", "db.operation.name": "SET"}),
        ("PIPELINE", "client", False, {
            "db.system.name": "redis", "db.operation.name": "PIPELINE", "db.operation.batch.size": 2,
        }),
        ("INCRBY", "client", True, {
            "db.system.name": "redis", "db.operation.name": "INCRBY", "error.type": "ResponseError",
        }),
    ]  # fmt: skip


async def test_a_webhook_is_told_of_the_trace(receiver: Receiver, kept: KeptSpans, tracing: Tracing) -> None:
    post = OutboundPost(allow_loopback=True)
    trace_id = "a" * 32
    with tracing.task_span("deliver", f"00-{trace_id}-{'b' * 16}-01"):
        assert await post.post(receiver.url, CANARY.encode(), {"webhook-id": CANARY}) == 204
        receiver.status = 503
        assert await post.post(receiver.url, b"{}", {}) == 503
    good, bad = steps_of(kept)
    port = httpx2.URL(receiver.url).port
    assert (good.name, good.kind, good.is_error) == ("POST", "client", False)
    assert good.attributes == {
        "http.request.method": "POST", "server.address": "127.0.0.1", "server.port": port,
        "http.response.status_code": 204,
    }  # fmt: skip
    assert (bad.is_error, bad.attributes["error.type"]) == (True, "503")
    assert f"traceparent: 00-{trace_id}-{good.span_id:016x}-00" in receiver.heads[0]
    assert f"traceparent: 00-{trace_id}-{bad.span_id:016x}-00" in receiver.heads[1]


async def test_a_trace_goes_from_a_request_through_the_outbox_to_the_webhook_of_a_task(
    database: Database, system_database: SystemDatabase, receiver: Receiver, kept: KeptSpans, tracing: Tracing
) -> None:
    async with system_database.session() as system:
        await system.execute(text("delete from outbox"))
    gateway = f"00-{'c' * 32}-{'d' * 16}-01"
    with tracing.server_span("POST", gateway):
        async with database.shared() as session:
            await enqueue(session, "hooks.deliver", hook_id=1)
    sent: list[Message] = []

    async def send(messages: Sequence[Message]) -> None:
        sent.extend(messages)

    async with system_database.session() as system:
        assert await relay_batch(system, send) == 1
    with tracing.task_span(sent[0].task, sent[0].traceparent):
        await OutboundPost(allow_loopback=True).post(receiver.url, b"{}", {})
    (request, *_), (task, call) = kept.parts
    assert {span.trace_id for part in kept.parts for span in part} == {int("c" * 32, 16)}
    assert request.parent_id == int("d" * 16, 16)
    assert (task.parent_id, call.parent_id) == (request.span_id, task.span_id)
    assert f"traceparent: 00-{'c' * 32}-{call.span_id:016x}-00" in receiver.heads[0]


async def test_calls_to_services_are_spans_but_do_not_hand_on_the_trace(
    receiver: Receiver, kept: KeptSpans, tracing: Tracing
) -> None:
    client = create_http_client(httpx2.Timeout(5))
    receiver.status = 402
    with tracing.task_span("charge", None):
        assert (await client.post(receiver.url, headers={"authorization": CANARY})).status_code == 402
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://127.0.0.1:1/{CANARY}")
    await client.aclose()
    refused, failed = steps_of(kept)
    assert (refused.name, refused.attributes["error.type"], refused.is_error) == ("POST", "402", True)
    assert (failed.name, failed.attributes["error.type"]) == ("GET", "ConnectError")
    assert "traceparent" not in receiver.heads[0]


async def test_mail_is_a_span_without_its_receiver(kept: KeptSpans, tracing: Tracing) -> None:
    mailer = SmtpMailer("smtp://127.0.0.1:1", "Omni <omni@localhost>", timeout_seconds=1)
    with tracing.task_span("send", None), pytest.raises(OSError, match="refused"):
        await mailer.send(Mail("1", f"{CANARY}@example.com", CANARY, CANARY))
    [step] = steps_of(kept)
    assert (step.name, step.is_error) == ("SMTP send", True)
    assert step.attributes == {
        "network.protocol.name": "smtp", "server.address": "127.0.0.1", "error.type": "ConnectionRefusedError",
    }  # fmt: skip


async def test_where_nothing_records_nothing_is_noted_or_told(receiver: Receiver) -> None:
    with Tracing("tests", "1", None).task_span("deliver", None):
        assert current_trace() is None
        await OutboundPost(allow_loopback=True).post(receiver.url, b"{}", {})
    assert "traceparent" not in receiver.heads[0]


def test_steps_without_end_are_cut(kept: KeptSpans, tracing: Tracing) -> None:
    with tracing.task_span("endless", None):
        for _ in range(STEPS_LIMIT + 5):
            with client_call("POST", {}):
                pass
    assert len(steps_of(kept)) == STEPS_LIMIT
