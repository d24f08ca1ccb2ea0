"""Streams, clients that leave and backends that lie."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from omni.gateway.upstream.answers import ClientGone
from omni.gateway.upstream.connection import BackendConnection
from omni.gateway.upstream.pools import BackendPool
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway, make_config
from tests.gateway.support import (
    EMBEDDINGS,
    Client,
    ControlPlane,
    FakeBackend,
    Received,
    RedisServer,
    answer,
    embed,
    eventually,
    request,
)

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"omni-usage: input_tokens=12, compute_ms=34\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_chunks_pass_as_they_come(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()
    turns: list[asyncio.Event] = []
    finish = asyncio.Event()

    async def stream(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for number, turn in enumerate(turns):
            await turn.wait()
            writer.write(chunk(b"data: %d\n\n" % number))
        await finish.wait()
        writer.write(b"0\r\n\r\n")

    backend.handler = stream
    client = await Client.connect(port)
    for _ in range(2):
        turns[:] = [asyncio.Event() for _ in range(3)]
        finish.clear()
        client.send(request("POST", EMBEDDINGS, tenant.bearer))
        head = await client.head()
        assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
        assert "omni-usage" not in head.headers
        for number, turn in enumerate(turns):
            turn.set()
            assert await client.chunk() == b"data: %d\n\n" % number
        finish.set()
        assert await client.chunk() == b""
    client.close()
    events = await control.events(tenant.key.tenant_id)
    assert [event.quantities["input_tokens"] for event in events] == [12, 12]


async def test_a_client_that_leaves_a_stream_is_settled_and_the_backend_told(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()
    told = asyncio.Event()

    async def endless(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        try:
            while not writer.is_closing():
                writer.write(chunk(b"data: x\n\n"))
                await writer.drain()
                await asyncio.sleep(0.005)
        finally:
            told.set()

    backend.handler = endless
    client = await Client.connect(port)
    client.send(request("POST", EMBEDDINGS, tenant.bearer))
    await client.head()
    await client.chunk()
    client.abort()
    async with asyncio.timeout(2):
        await told.wait()
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities["input_tokens"]) == (499, 12)
    assert await control.holds(tenant.key.tenant_id) == 0


async def test_a_client_that_leaves_before_the_answer_counts_as_one_request(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()
    asked = asyncio.Event()

    async def silent(_: Received, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await writer.wait_closed()

    backend.handler = silent
    client = await Client.connect(port)
    client.send(request("POST", EMBEDDINGS, tenant.bearer))
    await asked.wait()
    client.close()
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities) == (499, {"requests": 1})


async def test_a_long_answer_takes_constant_memory(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()
    piece, pieces = bytes(256 * 1024), 120

    async def long(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(piece) * pieces))
        for _piece in range(pieces):
            writer.write(piece)
            await writer.drain()

    backend.handler = long
    client = await Client.connect(port)
    tracemalloc.start()
    client.send(request("POST", EMBEDDINGS, tenant.bearer))
    head = await client.head()
    await asyncio.sleep(0.3)  # the client does not read: whoever buffers without bound does it now
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 8 * 1024 * 1024
    left = int(head.headers["content-length"])
    assert left == len(piece) * pieces
    while left:
        left -= len(await client.reader.read(65536))
    client.close()


LIES = {
    "short body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc",
    "not HTTP": b"hello there\r\n\r\n",
    "both lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-",
    "switches protocols": b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("name", LIES)
async def test_a_backend_that_lies(port: int, control: ControlPlane, backend: FakeBackend, name: str) -> None:
    tenant = await control.tenant()

    async def liar(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(LIES[name])
        await writer.drain()
        writer.close()

    backend.handler = liar
    reply = await embed(port, tenant)
    assert (reply.status, code(reply)) == (502, "backend_failed")
    (event,) = await control.events(tenant.key.tenant_id)
    assert (event.status, event.quantities) == (502, {})


async def test_a_broken_stream_is_cut_and_not_billed_twice(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()

    async def broken(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(b"one") + b"zz\r\nnonsense")

    backend.handler = broken
    client = await Client.connect(port)
    client.send(request("POST", EMBEDDINGS, tenant.bearer))
    reply = await client.reply()
    assert (reply.complete, reply.body in (b"", b"one")) == (False, True)
    client.close()
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.status, event.quantities) == (502, {})


async def test_what_a_backend_says_unasked_reaches_nobody(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()

    head, tail = b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 6\r\n\r\npoison"
    used: set[asyncio.StreamWriter] = set()

    async def two_answers(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(tail if writer in used else answer(body=b"mine") + head)
        used.add(writer)

    backend.handler = two_answers
    for _ in range(3):
        assert (await embed(port, tenant)).body == b"mine"
    assert len(used) == 3, "none was used again"

    async def whole_answers(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body=b"mine") + answer(body=b"poison"))

    backend.handler = whole_answers
    for _ in range(3):
        assert (await embed(port, tenant)).body == b"mine"


async def test_a_stale_pooled_connection_is_replaced(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()
    hang_up_next = False

    async def moody(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal hang_up_next
        if hang_up_next:
            hang_up_next = False
            writer.close()
        else:
            writer.write(answer())

    backend.handler = moody
    assert (await embed(port, tenant)).status == 200
    hang_up_next = True
    assert (await embed(port, tenant)).status == 200
    assert len(backend.received) == 3
    assert len(await control.events(tenant.key.tenant_id)) == 2


async def test_no_backend(shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway) -> None:
    tenant = await control.tenant()
    gateway = await start_gateway(shared_redis.url, backend_urls=("http://127.0.0.1:1",))
    reply = await embed(gateway.ports.public, tenant)
    assert (reply.status, code(reply)) == (503, "backend_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
    (event,) = await control.events(tenant.key.tenant_id)
    assert (event.status, event.quantities) == (503, {})


async def test_the_deadline(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    tenant = await control.tenant()
    gateway = await start_gateway(shared_redis.url, request_timeout_seconds=0.1)

    async def silent(_: Received, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    backend.handler = silent
    reply = await embed(gateway.ports.public, tenant)
    assert (reply.status, code(reply)) == (504, "deadline_exceeded")
    assert await control.holds(tenant.key.tenant_id) == 0


async def test_drain_finishes_what_is_open_and_takes_nothing_new(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    tenant = await control.tenant()
    gateway = await start_gateway(shared_redis.url)
    release, asked = asyncio.Event(), asyncio.Event()

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await release.wait()
        writer.write(answer())

    backend.handler = slow
    idle = await Client.connect(gateway.ports.public)
    idle.send(request("GET", "/livez"))
    await idle.reply()
    request_open = asyncio.create_task(embed(gateway.ports.public, tenant))
    await asked.wait()
    draining = asyncio.create_task(gateway.drain(5))
    assert await idle.at_end()
    idle.close()
    assert gateway.checks()["serving"] is False

    async def refused() -> bool:
        try:
            (await Client.connect(gateway.ports.public)).close()
        except OSError:
            return True
        return False

    await eventually(refused)
    release.set()
    reply = await request_open
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    await draining
    assert len(await control.events(tenant.key.tenant_id)) == 1


async def test_who_connected_just_before_the_drain_is_answered(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    tenant = await control.tenant()
    gateway = await start_gateway(shared_redis.url, drain_notice_seconds=0.0)
    await embed(gateway.ports.public, tenant)  # its key is known
    client = await Client.connect(gateway.ports.public)
    draining = asyncio.create_task(gateway.drain(5))
    await asyncio.sleep(0.02)
    client.send(request("POST", EMBEDDINGS, tenant.bearer, b"{}"))
    reply = await client.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    client.close()
    await draining


async def test_a_client_that_leaves_late_does_not_cut_the_next_request_of_its_connection(
    backend_server: tuple[FakeBackend, str], backend: FakeBackend, tmp_path: Path
) -> None:
    pool = BackendPool(make_config("redis://unused", backend_server[1], tmp_path))
    release = asyncio.Event()
    watched: list[tuple[BackendConnection, int]] = []

    async def second_waits(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target == "/second":
            await release.wait()
        writer.write(answer())

    async def send(path: str) -> int:
        head = request("GET", path)
        deadline = asyncio.get_running_loop().time() + 5
        return (await pool.send(lambda _: head, deadline, lambda c: watched.append((c, c.serial)))).status

    backend.handler = second_waits
    assert await send("/first") == 200
    second = asyncio.create_task(send("/second"))

    async def both_sent() -> bool:
        return len(watched) == 2

    await eventually(both_sent)
    (first_connection, first_serial), (connection, _) = watched
    assert first_connection is connection
    first_connection.abort_request(first_serial, ClientGone())
    release.set()
    assert await second == 200
    pool.close()
