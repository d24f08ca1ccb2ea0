"""Bodies that go on to the backend as they come: in constant memory, at the slower side's pace, and cut cleanly."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from omni.gateway.app import Gateway
from tests.gateway.access.test_auth import code
from tests.gateway.conftest import StartGateway
from tests.gateway.support import Client, ControlPlane, RedisServer, Tenant, ask

MIB = 1024 * 1024
FILES = "/v1/files"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
REFUSED = b'HTTP/1.1 429 Too Many Requests\r\ncontent-length: 31\r\n\r\n{"code":"storage_quota_exceeded"'
Connect = Callable[[], Awaitable[Client]]


@dataclass
class UploadBackend:
    """Reads a body piece by piece, as the test wants, and then answers."""

    answer: bytes = OK
    read_most: int | None = None
    """Answers after so many bytes, without reading on."""
    pace: asyncio.Semaphore | None = None
    """A piece is read for each release."""
    dies: bool = False
    """Closes instead of reading on."""
    heads: list[str] = field(default_factory=list)
    digest: str = ""
    size: int = 0
    ended_early: bool = False
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            if self.dies:
                return
            await self._read_body(reader, head.lower())
            writer.write(self.answer)
            await writer.drain()
            if self.read_most is not None:
                await reader.read()  # until the gateway closes
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended_early = True
        finally:
            writer.close()

    async def _read_body(self, reader: asyncio.StreamReader, head: str) -> None:
        digest, self.size = hashlib.sha256(), 0
        chunked = "transfer-encoding: chunked" in head
        length = 0 if chunked else int(head.split("content-length: ")[1].split("\r\n", maxsplit=1)[0])
        while chunked or self.size < length:
            if self.read_most is not None and self.size >= self.read_most:
                return
            if self.pace is not None:
                await self.pace.acquire()
            if chunked:
                size = int(await reader.readuntil(b"\r\n"), 16)
                piece = (await reader.readexactly(size + 2))[:-2]
                if not size:
                    break
            else:
                piece = await reader.read(min(256 * 1024, length - self.size))
                if not piece:
                    raise ConnectionError
            digest.update(piece)
            self.size += len(piece)
        self.digest = digest.hexdigest()


@pytest_asyncio.fixture
async def uploads() -> AsyncIterator[tuple[UploadBackend, str]]:
    server = UploadBackend()
    url = await server.start()
    yield server, url
    await server.stop()


@pytest_asyncio.fixture
async def gateway(
    shared_redis: RedisServer, control: ControlPlane, uploads: tuple[UploadBackend, str], start_gateway: StartGateway
) -> Gateway:
    assert control
    return await start_gateway(shared_redis.url, backend_urls=(uploads[1],))


@pytest_asyncio.fixture
async def connect(gateway: Gateway) -> AsyncIterator[Connect]:
    """Opens connections to the gateway, and closes them after the test."""
    opened: list[Client] = []

    async def client() -> Client:
        opened.append(await Client.connect(gateway.ports.public))
        return opened[-1]

    yield client
    for each in opened:
        each.close()


def head(tenant: Tenant, length: int | None, **more: str) -> bytes:
    lines = {"host": "gateway", "content-type": "multipart/form-data; boundary=x", **tenant.bearer, **more}
    lines |= {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {FILES} HTTP/1.1\r\n{fields}\r\n".encode()


async def test_a_large_body_passes_in_constant_memory(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], connect: Connect
) -> None:
    tenant, pieces = await control.tenant(), 96
    piece, digest = bytes(range(256)) * 4096, hashlib.sha256()
    client = await connect()
    tracemalloc.start()
    client.send(head(tenant, pieces * MIB))
    for _ in range(pieces):
        digest.update(piece)
        client.send(piece)
        await client.writer.drain()
    reply = await client.reply()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (reply.status, reply.body) == (200, b"{}")
    assert (uploads[0].size, uploads[0].digest) == (pieces * MIB, digest.hexdigest())
    assert peak < 16 * MIB, "client, gateway and backend together"
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert (event.endpoint, event.quantities["requests"]) == (f"POST {FILES}", 1)
    again = await asyncio.wait_for(_again(client, tenant), 5)
    assert again == 200, "the connection goes on"


async def _again(client: Client, tenant: Tenant) -> int:
    client.send(head(tenant, 3) + b"abc")
    return (await client.reply()).status


async def test_chunks_go_on_as_chunks(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], connect: Connect
) -> None:
    tenant, client = await control.tenant(), await connect()
    client.send(head(tenant, None) + b"5\r\nhello\r\n")
    await asyncio.sleep(0.05)
    client.send(b"6\r\n world\r\n0\r\n\r\n")
    assert (await client.reply()).status == 200
    assert uploads[0].digest == hashlib.sha256(b"hello world").hexdigest()
    assert "content-length" not in uploads[0].heads[0].lower()


async def test_a_client_is_read_at_the_pace_of_the_backend(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], connect: Connect
) -> None:
    server, size = uploads[0], 64 * MIB
    server.pace = asyncio.Semaphore(0)
    tenant, client = await control.tenant(), await connect()
    client.send(head(tenant, size))
    sent, piece = 0, b"x" * MIB
    for _ in range(64):
        client.send(piece)
        try:
            await asyncio.wait_for(client.writer.drain(), 0.5)
        except TimeoutError:
            break
        sent += MIB
    assert sent < 32 * MIB, "nobody takes more than what sockets and our own few buffers hold"
    client.close()


async def test_an_answer_before_the_end_is_passed_on_and_the_rest_is_not_sent(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], connect: Connect
) -> None:
    server = uploads[0]
    server.answer, server.read_most = REFUSED, 0
    tenant, client = await control.tenant(), await connect()
    client.send(head(tenant, 2_000_000_000) + b"x" * MIB)
    reply = await asyncio.wait_for(client.reply(), 5)
    assert (reply.status, reply.headers["connection"]) == (429, "close")
    server.answer, server.read_most = OK, None
    assert (await ask(gateway.ports.public, "POST", FILES, tenant.bearer, b"abc")).status == 200
    assert len(server.heads) == 2, "on another connection"


async def test_a_client_that_leaves_ends_the_upload(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], connect: Connect
) -> None:
    tenant, client = await control.tenant(), await connect()
    client.send(head(tenant, 10 * MIB) + b"x" * MIB)
    await asyncio.sleep(0.1)
    client.abort()
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.status == 499
    for _ in range(50):
        if uploads[0].ended_early:
            break
        await asyncio.sleep(0.02)
    assert uploads[0].ended_early


async def test_nothing_is_read_of_a_body_that_is_announced_too_large(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], connect: Connect
) -> None:
    tenant, client = await control.tenant(), await connect()
    client.send(head(tenant, 3 * 1024 * MIB))
    reply = await asyncio.wait_for(client.reply(), 5)
    assert (reply.status, code(reply)) == (413, "body_too_large")
    assert not uploads[0].heads


async def test_who_may_not_upload_is_told_before_sending(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], connect: Connect
) -> None:
    tenant = await control.tenant(key={"scopes": frozenset(["inference"])})
    client = await connect()
    client.send(head(tenant, 2_000_000_000, expect="100-continue"))
    reply = await asyncio.wait_for(client.reply(), 5)
    assert (reply.status, code(reply)) == (403, "scope_missing")
    assert not uploads[0].heads


@pytest.mark.parametrize("length", [10 * MIB, None], ids=["announced", "chunked"])
async def test_a_backend_that_dies_within_the_body(
    gateway: Gateway, control: ControlPlane, uploads: tuple[UploadBackend, str], length: int | None, connect: Connect
) -> None:
    uploads[0].dies = True
    tenant, client = await control.tenant(), await connect()
    client.send(head(tenant, length) + (b"x" * 1000 if length else b"4\r\nabcd\r\n"))
    reply = await asyncio.wait_for(client.reply(), 5)
    assert reply.status in (502, 503)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities.get("requests", 0) == 0, "what failed on our side is not billed"
