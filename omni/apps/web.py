"""Runs an ASGI application on uvicorn inside our own loop, with our signals and our drain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvicorn
from prometheus_client import CollectorRegistry

from omni.apps.health import Check, HealthMonitor
from omni.apps.serving import serve_metrics
from omni.apps.settings import Settings
from omni.telemetry.metrics import HealthMetrics

if TYPE_CHECKING:
    from fastapi import FastAPI


async def serve_app(
    app: FastAPI,
    address: tuple[str, int],
    checks: dict[str, Check],
    settings: Settings,
    registry: CollectorRegistry,
    stop: asyncio.Event,
) -> None:
    """Serves until `stop` is set, with metrics and health on the metrics port; then drains."""
    monitor = HealthMonitor(checks)
    HealthMetrics(monitor.dependencies, registry)
    server = WebServer(app, *address, settings.drain_seconds)
    await server.start()
    await monitor.check_now()
    metrics = serve_metrics(settings.metrics_host, settings.metrics_port, registry, monitor.health)
    checking = asyncio.create_task(monitor.run())
    await stop.wait()
    monitor.stopping()
    await server.stop()
    checking.cancel()
    metrics.shutdown()


class WebServer:
    """One listening application."""

    def __init__(self, app: Any, host: str, port: int, drain_seconds: float) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                host,
                port,
                loop="none",
                http="httptools",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=int(drain_seconds),
            )
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        return self._server.started

    async def start(self) -> None:
        """Returns once it listens. Raises SystemExit as uvicorn does when the port is taken."""
        self._serving = asyncio.create_task(self._server._serve())
        while not self._server.started:
            await asyncio.wait({self._serving}, timeout=0.01)
            if self._serving.done():
                self._serving.result()
                raise RuntimeError("the server ended before it listened")

    async def stop(self) -> None:
        """Finishes open requests, then closes."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
