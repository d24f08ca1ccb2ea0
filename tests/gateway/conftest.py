"""A gateway in this process, in front of a real Redis and a scripted backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from omni.gateway.app import Gateway
from omni.gateway.config import GatewayConfig
from omni.telemetry.spans import RequestSpans
from tests.gateway.support import (
    CREDENTIALS_KEY,
    SECRET,
    ControlPlane,
    FakeBackend,
    RecordingLogger,
    RedisServer,
    eventually,
)

StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("gateway-redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


async def _control(server: RedisServer) -> ControlPlane:
    plane = ControlPlane(server.url)

    async def answers() -> bool:
        try:
            return bool(await plane.redis.ping())
        except (OSError, ConnectionError):
            return False
        except Exception as error:
            if type(error).__name__ not in ("ConnectionError", "BusyLoadingError"):
                raise
            return False

    await eventually(answers)
    await plane.make_ready()
    return plane


@pytest_asyncio.fixture(scope="session")
async def control(shared_redis: RedisServer) -> AsyncIterator[ControlPlane]:
    plane = await _control(shared_redis)
    yield plane
    await plane.redis.aclose()


@pytest_asyncio.fixture
async def own_control(own_redis: RedisServer) -> AsyncIterator[ControlPlane]:
    plane = await _control(own_redis)
    yield plane
    await plane.redis.aclose()


@pytest_asyncio.fixture(scope="session")
async def backend_server() -> AsyncIterator[tuple[FakeBackend, str]]:
    server = FakeBackend()
    yield server, await server.start()
    await server.stop()


@pytest.fixture
def backend(backend_server: tuple[FakeBackend, str]) -> FakeBackend:
    backend_server[0].reset()
    return backend_server[0]


@pytest.fixture
def logger() -> RecordingLogger:
    return RecordingLogger()


def make_config(redis_url: str, backend_url: str, spool_dir: Path, **changes: Any) -> GatewayConfig:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "metrics_port": 0,
        "backend_urls": (backend_url,),
        "redis_url": redis_url,
        "principal_secret": SECRET,
        "credentials_key": CREDENTIALS_KEY,
        "spool_dir": spool_dir,
        # Clients, providers and gateway share a loop here: it lags without being overloaded.
        "lag_check_seconds": 3600.0,
        **changes,
    }
    return GatewayConfig(**values)


@pytest_asyncio.fixture
async def start_gateway(
    backend: FakeBackend, backend_server: tuple[FakeBackend, str], tmp_path: Path, logger: RecordingLogger
) -> AsyncIterator[StartGateway]:
    """Starts gateways with changed settings in front of the backend, reset, and drains them after the test."""
    started: list[Gateway] = []

    async def start(redis_url: str, spans: RequestSpans | None = None, **changes: Any) -> Gateway:
        config = make_config(redis_url, backend_server[1], changes.pop("spool_dir", tmp_path / "spool"), **changes)
        gateway = Gateway(config, CollectorRegistry(), logger, spans)
        await gateway.start()
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        await gateway.drain(0.2)


@pytest_asyncio.fixture(scope="session")
async def _shared_gateway(
    shared_redis: RedisServer,
    control: ControlPlane,
    backend_server: tuple[FakeBackend, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Gateway]:
    assert control
    config = make_config(shared_redis.url, backend_server[1], tmp_path_factory.mktemp("spool"))
    gateway = Gateway(config, CollectorRegistry(), RecordingLogger())
    await gateway.start()
    yield gateway
    await gateway.drain(0.5)


@pytest.fixture
def port(_shared_gateway: Gateway, backend: FakeBackend) -> int:
    """The port of a gateway that tests share, with the backend reset."""
    assert not backend.received
    return _shared_gateway.ports.public
