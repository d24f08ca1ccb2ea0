"""Which processes a machine runs, with the ports and the environment of each."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from omni.apps.embedded.launch import Command, StartupError, free_ports, port_is_free
from omni.apps.settings import Settings
from omni.apps.supervisor.process import ProcessSpec

_READY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one run."""

    gateway: int
    console: int
    backend: int
    status: int
    metrics: dict[str, int]

    @classmethod
    def choose(cls, settings: Settings) -> Ports:
        """The two public ones as asked for, free ones for the rest. Raises StartupError when a public one is taken."""
        for what, host, port, option in (
            ("gateway", settings.gateway_host, settings.gateway_port, "--gateway-port"),
            ("console", settings.console_host, settings.console_port, "--console-port"),
        ):
            if not port_is_free(host, port):
                raise StartupError(
                    f"Port {port} of the {what} is taken: stop what listens there, or choose another with {option}."
                )
        names = [*gateway_names(settings.gateway_workers), "backend", "console", "worker", "status"]
        public = (settings.gateway_port, settings.console_port)
        backend, status, *metrics = free_ports(2 + len(names), besides=public)
        return cls(*public, backend, status, dict(zip(names, metrics, strict=True)))

    def metrics_url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.metrics[name]}/metrics"


def gateway_names(workers: int) -> list[str]:
    """`gateway`, `gateway-2`, …"""
    return ["gateway", *(f"gateway-{number}" for number in range(2, workers + 1))]


def python_processes(settings: Settings, ports: Ports, environment: dict[str, str]) -> list[ProcessSpec]:
    """The platform's own processes, in the order in which they start."""

    def spec(name: str, role: str) -> ProcessSpec:
        own = {**environment, "OMNI_METRICS_PORT": str(ports.metrics[name])}
        if role == "status":
            own |= status_environment(settings)
        arguments = (sys.executable, "-m", "omni.apps.cli.main", "serve", role)
        return ProcessSpec(
            name=name,
            command=lambda: Command(arguments, own),
            wait_until_ready=_ready_check(f"http://127.0.0.1:{ports.metrics[name]}/readyz"),
            stop_seconds=settings.drain_seconds + 10,
        )

    others = [spec(name, name) for name in ("backend", "console", "worker", "status")]
    return [*others, *(spec(name, "gateway") for name in gateway_names(settings.gateway_workers))]


def child_environment(settings: Settings, ports: Ports, database_url: str, redis_url: str) -> dict[str, str]:
    """What every process of this machine is told. None gets the administrator's password of the database."""
    gateway = f"http://{settings.gateway_host}:{ports.gateway}"
    console = f"http://{settings.console_host}:{ports.console}"
    given = settings.model_fields_set
    return {
        "OMNI_HOME": str(settings.home.resolve()),
        "OMNI_DATABASE_URL": without_credentials(database_url),
        "OMNI_REDIS_URL": redis_url,
        "OMNI_GATEWAY_HOST": settings.gateway_host,
        "OMNI_GATEWAY_PORT": str(ports.gateway),
        "OMNI_GATEWAY_WORKERS": str(settings.gateway_workers),
        "OMNI_CONSOLE_HOST": settings.console_host,
        "OMNI_CONSOLE_PORT": str(ports.console),
        "OMNI_BACKEND_PORT": str(ports.backend),
        "OMNI_STATUS_PORT": str(ports.status),
        "OMNI_BACKEND_URL": f"http://127.0.0.1:{ports.backend}",
        "OMNI_CONSOLE_URL": settings.console_url if "console_url" in given else console,
        "OMNI_GATEWAY_URL": settings.gateway_url or gateway,
        "OMNI_PUBLIC_URL": settings.public_url if "public_url" in given else gateway,
        "OMNI_PROBE_URLS": f"API={gateway}/readyz,Console={console}/readyz,"
        f"Inference=http://127.0.0.1:{ports.backend}/readyz,"
        f"Jobs=http://127.0.0.1:{ports.metrics['worker']}/readyz",
        "OMNI_STOP_WITH_PARENT": "true",
        "PYTHONUNBUFFERED": "1",
    }


def without_credentials(url: str) -> str:
    """A database's address without user and password: enough for a process that takes on one of the roles."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def status_environment(settings: Settings) -> dict[str, str]:
    """What only the status process is told: its token, and no other secret."""
    hidden = dict.fromkeys(("OMNI_MASTER_KEY", "OMNI_DATABASE_URL", "OMNI_REDIS_URL"), "")
    return {**hidden, "OMNI_STATUS_TOKEN": settings.load_status_token()}


async def _get(url: str) -> bytes:
    """A whole answer as it comes over the wire; by hand, since `omni up` would keep a whole client for it.

    Raises OSError or TimeoutError.
    """
    parts = urlsplit(url)
    async with asyncio.timeout(_READY_SECONDS):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode("ascii"))
            return await reader.read()
        finally:
            writer.close()


def _ready_check(url: str) -> Callable[[float], Awaitable[None]]:
    async def wait(timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        reason = "no answer"
        while time.monotonic() < deadline:
            try:
                answer = await _get(url)
                if answer.split(b" ", 2)[1:2] == [b"200"]:
                    return
                reason = answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")[:300]
            except (OSError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
        raise TimeoutError(f"after {timeout_seconds:.0f} s it says: {reason}")

    return wait
