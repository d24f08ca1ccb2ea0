"""A gateway on a port of its own, in front of scripted providers that speak OpenAI, Anthropic and Gemini."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from prometheus_client import CollectorRegistry

from omni.contracts.money import PriceBook, Rate
from omni.contracts.routes import Kind, ModelRoute, Provider, Target
from omni.gateway.app import Gateway
from omni.kit.sealing import credential_place, seal
from tests.clients.providers import anthropic, gemini, openai
from tests.clients.providers.http import whole
from tests.gateway.conftest import backend_server, control, make_config, shared_redis
from tests.gateway.providers import STREAM_HEAD, chunk, publish
from tests.gateway.support import (
    CREDENTIALS_KEY,
    ControlPlane,
    FakeBackend,
    Received,
    RecordingLogger,
    RedisServer,
    Tenant,
)

__all__ = ["backend_server", "control", "shared_redis"]

OPERATIONS = frozenset((
    "chat", "completions", "responses", "messages", "count_tokens", "embeddings", "images", "image_edits",
    "transcriptions", "translations", "speech", "moderations",
))  # fmt: skip
METERS = (
    "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "images", "audio_ms", "characters",
)  # fmt: skip
PRICES = PriceBook("EUR", {"": {meter: (Rate(0, 1_000, 1),) for meter in METERS}})
MODELS: tuple[tuple[str, str, str], ...] = (
    ("gpt", "openai", "gpt-5"),
    ("claude", "anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini", "gemini-3-pro"),
    ("vectors", "openai", "text-embedding-3-small"),
    ("gemini-vectors", "gemini", "gemini-embedding-001"),
    ("llama", "elsewhere", "llama-4"),
    *((f"fails-{status}", "openai", f"status-{status}") for status in (400, 409, 422, 429, 500, 503)),
    ("claude-fails", "anthropic", "status-400"),
    ("slow", "openai", "slow"),
    ("endless", "openai", "endless"),
)
"""Public name, provider, and the model's name there, which is what the scripts go by."""


class Scripted:
    """All providers in one server, told apart by the first part of the path."""

    def __init__(self, server: FakeBackend, url: str) -> None:
        self.server = server
        self.url = url
        self.closed = asyncio.Event()

    @property
    def received(self) -> list[Received]:
        return self.server.received

    def begin(self) -> None:
        """Forgets what was asked, and answers as the scripts say."""
        self.server.reset()
        self.server.handler = self.answer
        self.closed.clear()

    async def answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        _, name, _, path = request.target.split("/", 3)
        found = re.search(rb"status-(\d+)|slow|endless", request.body)
        if found is not None and found[1]:
            writer.write(self._failure(int(found[1]), anthropic_shape=name == "anthropic"))
        elif found is not None:
            await self._never(writer, streams=found[0] == b"endless")
        else:
            answers = {"anthropic": anthropic.answer, "gemini": gemini.answer}.get(name, openai.answer)
            await answers(request, f"/{path}", writer)

    def _failure(self, status: int, *, anthropic_shape: bool) -> bytes:
        if anthropic_shape:
            error: dict[str, Any] = {"type": "invalid_request_error", "message": "max_tokens: too large"}
            return whole({"type": "error", "error": error, "request_id": "req_provider"}, status)
        error = {"message": f"The provider says {status}.", "type": "invalid_request_error", "param": "x", "code": "c"}
        return whole({"error": error}, status, "retry-after: 1\r\n" if status == 429 else "")

    async def _never(self, writer: asyncio.StreamWriter, *, streams: bool) -> None:
        """Keeps silent, or streams without an end, until the other side has closed."""
        if streams:
            writer.write(STREAM_HEAD)
        try:
            while not writer.is_closing():
                if streams:
                    writer.write(chunk(b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"more "}}]}\n\n'))
                    await writer.drain()
                await asyncio.sleep(0.005)
        except ConnectionError:
            pass
        self.closed.set()


def _provider(url: str, code: str, kind: Kind, version: str, operations: frozenset[str] | None = None) -> Provider:
    sealed = seal(CREDENTIALS_KEY, f"key-of-{code}-0123456789".encode(), credential_place("platform", code))
    return Provider(code, kind, f"{url}/{code}/{version}", base64.b64encode(sealed).decode(), operations=operations)


@pytest_asyncio.fixture(scope="session")
async def scripted_server() -> AsyncIterator[Scripted]:
    server = FakeBackend()
    scripted = Scripted(server, await server.start())
    yield scripted
    await server.stop()


@pytest.fixture
def scripted(scripted_server: Scripted) -> Scripted:
    scripted_server.begin()
    return scripted_server


@pytest_asyncio.fixture(scope="session")
async def gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    scripted_server: Scripted,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Gateway]:
    config = make_config(shared_redis.url, backend_server[1], tmp_path_factory.mktemp("spool"))
    started = Gateway(config, CollectorRegistry(), RecordingLogger())
    await started.start()
    url = scripted_server.url
    providers = [
        _provider(url, "openai", "openai", "v1"),
        _provider(url, "anthropic", "anthropic", "v1"),
        _provider(url, "gemini", "gemini", "v1beta"),
        _provider(url, "elsewhere", "openai", "v1", frozenset(("chat",))),
    ]
    models = [
        ModelRoute(name, OPERATIONS, (Target(f"{name}@{provider}", provider, upstream),))
        for name, provider, upstream in MODELS
    ]
    await publish(control, started, providers, models, PRICES)
    yield started
    await started.drain(0.5)


@pytest.fixture(scope="session")
def gateway_url(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.ports.public}"


@pytest.fixture
def url(gateway_url: str, scripted: Scripted) -> str:
    """Where clients find the gateway; the providers begin anew."""
    assert not scripted.received
    return gateway_url


@pytest_asyncio.fixture
async def tenant(control: ControlPlane) -> Tenant:
    return await control.tenant()


@pytest_asyncio.fixture
async def openai_client(url: str, tenant: Tenant) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=tenant.secret, max_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def anthropic_client(url: str, tenant: Tenant) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=url, api_key=tenant.secret, max_retries=0) as client:
        yield client


class Bill:
    """What the tenant was charged."""

    def __init__(self, control: ControlPlane, tenant: Tenant) -> None:
        self._control = control
        self._tenant = tenant

    async def is_exactly(self, *expected: dict[str, int]) -> None:
        """Each request's meters, without money, in any order; none by estimate."""
        events = await self._control.wait_events(self._tenant.key.tenant_id, len(expected))
        found = [
            {meter: count for meter, count in event.quantities.items() if not meter.endswith("_nanos")}
            for event in events
        ]
        assert sorted(found, key=_in_order) == sorted(expected, key=_in_order)
        assert [event.attributes.get("estimated") for event in events] == [None] * len(expected)


def _in_order(quantities: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(quantities.items())


@pytest.fixture
def bill(control: ControlPlane, tenant: Tenant) -> Bill:
    return Bill(control, tenant)
