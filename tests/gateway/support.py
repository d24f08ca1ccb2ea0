"""What the gateway's tests stand on: a Redis of their own, a scripted backend, a raw client, published snapshots."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import hiredis
import redis.asyncio

from omni.apps.embedded.launch import free_port
from omni.apps.embedded.redis import find_binary
from omni.contracts import redis_names
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot, TenantSnapshot
from omni.contracts.usage import UsageEvent
from omni.gateway.admission.events import EventTemplate
from omni.kit.ids import mint_secret

SECRET = b"a principal secret for tests only"
CREDENTIALS_KEY = os.urandom(32)
EMBEDDINGS = "/v1/embeddings"
UNLIMITED = PlanSnapshot("unlimited", None, 0, None, None, None, None, None)


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 5.0) -> Any:
    """The first true result of `check`; fails when there is none in time."""
    async with asyncio.timeout(seconds):
        while True:
            result = await check()
            if result:
                return result
            await asyncio.sleep(0.005)


class RedisServer:
    """A redis-server process without persistence, on a port that stays the same over restarts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            find_binary(),
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@dataclass(slots=True)
class Tenant:
    """A published tenant with one key."""

    secret: str
    key: KeySnapshot
    plan: PlanSnapshot

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.secret.encode()).hexdigest()

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}


class ControlPlane:
    """Publishes snapshots and reads what the gateway leaves in Redis."""

    def __init__(self, url: str) -> None:
        self.redis: redis.asyncio.Redis = redis.asyncio.Redis.from_url(url, retry=None)

    async def make_ready(self) -> None:
        async with self.redis.pipeline() as pipe:
            pipe.set(redis_names.SNAPSHOTS_READY, 1)
            for partition in range(redis_names.PARTITIONS):
                pipe.set(redis_names.counters_ready(partition), 1)
            await pipe.execute()

    async def tenant(self, *, active: bool = True, key: dict[str, Any] | None = None, **plan: Any) -> Tenant:
        """A new tenant on a plan of its own."""
        code = f"plan-{uuid4().hex[:8]}"
        snapshot = KeySnapshot(uuid4(), uuid4(), uuid4(), "live", frozenset(["*"]), (), None, revoked=False)
        tenant = Tenant(
            mint_secret("omni_live_"), replace(snapshot, **(key or {})), replace(UNLIMITED, code=code, **plan)
        )
        await self.publish(tenant, active=active)
        return tenant

    async def publish(self, tenant: Tenant, *, active: bool = True) -> None:
        tenant_id = tenant.key.tenant_id
        await self.redis.set(redis_names.key_snapshot(tenant.digest), tenant.key.to_json())
        row = TenantSnapshot(tenant_id, tenant.plan.code, active).to_json()
        await self.redis.set(redis_names.tenant_snapshot(tenant_id), row)
        await self.redis.set(redis_names.plan_snapshot(tenant.plan.code), tenant.plan.to_json())

    async def invalidate(self, message: str) -> None:
        await self.redis.publish(redis_names.INVALIDATE_CHANNEL, message)

    async def events(self, tenant_id: UUID) -> list[UsageEvent]:
        """Every event of the tenant in the stream, repeats too."""
        stream = redis_names.usage_stream(redis_names.partition_of(tenant_id))
        entries: Any = await self.redis.xrange(stream)
        events = [UsageEvent.from_json(entry[b"e"]) for _, entry in entries]
        return [event for event in events if event.tenant_id == tenant_id]

    async def wait_events(self, tenant_id: UUID, count: int, seconds: float = 5.0) -> list[UsageEvent]:
        async def enough() -> list[UsageEvent] | None:
            events = await self.events(tenant_id)
            return events if len(events) >= count else None

        found: list[UsageEvent] = await eventually(enough, seconds)
        return found

    async def quota(self, tenant: Tenant, meter: str, at_micros: int) -> int:
        month = datetime.fromtimestamp(at_micros / 1e6, UTC).strftime("%Y%m")
        return int(await self.redis.get(redis_names.quota_key(tenant.key.tenant_id, "live", month, meter)) or 0)

    async def holds(self, tenant_id: UUID) -> int:
        partition = redis_names.partition_of(tenant_id)
        indexed = await self.redis.zcard(redis_names.holds_index(partition))
        assert indexed == await self.redis.hlen(redis_names.holds_data(partition))
        return int(indexed)

    async def calls(self, command: str) -> int:
        stats = await self.redis.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))


@dataclass(slots=True)
class Received:
    """A request as the backend got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Handler = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]

USAGE = "input_tokens=12, compute_ms=34"


def answer(status: int = 200, body: bytes = b'{"ok":true}', **headers: str) -> bytes:
    """A whole HTTP answer; underscores in header names become dashes."""
    lines = {"content-type": "application/json", "omni-usage": USAGE, "omni-model": "mini"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def fine(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(answer())


class FakeBackend:
    """An HTTP/1.1 server that answers as scripted and remembers what it was asked."""

    def __init__(self) -> None:
        self.handler: Handler = fine
        self.received: list[Received] = []
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def reset(self) -> None:
        self.handler = fine
        self.received.clear()
        self.connections = 0

    def cut_connections(self) -> None:
        for writer in list(self._writers):
            writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut_connections()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Received(method, target, headers, body)
                self.received.append(request)
                await self.handler(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


@dataclass(slots=True)
class Reply:
    """An answer as the client got it. `complete` is False when it was cut."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    complete: bool = True


class Client:
    """One raw connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> Reply:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        return Reply(int(lines[0].split(" ")[1]), headers)

    async def chunk(self) -> bytes:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def reply(self) -> Reply:
        reply = await self.head()
        try:
            if reply.headers.get("transfer-encoding") == "chunked":
                while chunk := await self.chunk():
                    reply.body += chunk
            elif "content-length" in reply.headers:
                reply.body = await self.reader.readexactly(int(reply.headers["content-length"]))
            elif reply.status not in (100, 204):
                reply.body = await self.reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            reply.complete = False
        return reply

    async def at_end(self) -> bool:
        """Whether the gateway closed, with nothing more to read."""
        try:
            return await asyncio.wait_for(self.reader.read(), 5) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()


def request(method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    lines = {"host": "gateway", **(headers or {})}
    if body or method == "POST":
        lines.setdefault("content-length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


async def ask(port: int, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Reply:
    """One request on a connection of its own."""
    client = await Client.connect(port)
    try:
        client.send(request(method, path, headers, body))
        async with asyncio.timeout(15):
            return await client.reply()
    finally:
        client.close()


async def embed(port: int, tenant: Tenant) -> Reply:
    return await ask(port, "POST", EMBEDDINGS, {**tenant.bearer, "content-type": "application/json"}, b'{"input":"x"}')


@dataclass
class RecordingLogger:
    """Keeps log lines."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def info(self, event: str, /, **values: Any) -> None:
        self.lines.append((event, values))

    warning = error = info


class SilentLogger:
    """Keeps nothing, for processes that nobody reads."""

    def info(self, event: str, /, **values: Any) -> None:
        pass

    warning = error = info


def held_by(template: EventTemplate, spend_nanos: int | None, event_id: UUID, at_micros: int) -> bytes:
    """The event that a lease leaves when it runs out."""
    before, between, after = template.held(spend_nanos)
    return b"%b%b%b%d%b" % (before, str(event_id).encode(), between, at_micros, after)


def script_arguments(packed: bytes) -> list[bytes]:
    """Number of keys, keys and arguments of a packed call of a script."""
    reader = hiredis.Reader()
    reader.feed(packed)
    command: list[bytes] = reader.gets()
    assert command[0] == b"EVALSHA"
    return command[2:]


def stranger() -> str:
    """A well-formed key that nobody has."""
    return mint_secret("omni_live_")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
