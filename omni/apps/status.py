"""`omni serve status`: the prober and the public status page. Needs no database, Redis or secret."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx2
import uvloop
from starlette.applications import Starlette

from omni.apps.serving import begin, serve_metrics, until_stopped
from omni.apps.settings import Settings
from omni.apps.web import WebServer
from omni.domains.status.repository import ProbeHistory
from omni.domains.status.service import StatusService
from omni.kit.clock import SystemClock
from omni.portal.status.routes import routes

PROBE_SECONDS = 15.0
FIRST_PROBE_SECONDS = 5.0
"""What starts together with us is not down only because it is still starting."""
FORGET_EVERY = timedelta(hours=6)


def main() -> None:
    """Runs until SIGTERM."""
    settings = Settings()
    uvloop.run(until_stopped(lambda stop: _run(settings, stop)))


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    registry = begin("status", settings)
    history = ProbeHistory(settings.home / "status" / "status.sqlite3")
    service = StatusService(probe_urls(settings.probe_urls), history, SystemClock())
    url = f"http://{settings.status_host}:{settings.status_port}"
    server = WebServer(Starlette(routes=routes(service, url)), settings.status_host, settings.status_port, 2)
    await server.start()
    probing = asyncio.create_task(_probe_forever(service))
    metrics = serve_metrics(
        settings.metrics_host, settings.metrics_port, registry, lambda: (server.started, b'{"status":"ok"}')
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, probing}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    probing.cancel()
    await server.stop()
    metrics.shutdown()
    history.close()
    if not stop.is_set():
        probing.result()  # it does not end by itself: let its error end the process, which is then started again


def probe_urls(text: str) -> dict[str, str]:
    """`name=url,name=url` as a dictionary. Raises ValueError for what is not that."""
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, separator, url = part.partition("=")
        if not separator or not name.strip() or not url.startswith(("http://", "https://")):
            raise ValueError(f"OMNI_PROBE_URLS: {part!r} is not name=http://…")
        found[name.strip()] = url.strip()
    return found


async def _probe_forever(service: StatusService) -> None:
    forget_in = 0.0
    await asyncio.sleep(FIRST_PROBE_SECONDS)
    async with httpx2.AsyncClient(timeout=PROBE_SECONDS, trust_env=False, follow_redirects=False) as client:
        while True:
            await service.probe_all(client)
            forget_in -= PROBE_SECONDS
            if forget_in <= 0:
                service.forget_old()
                forget_in = FORGET_EVERY.total_seconds()
            await asyncio.sleep(PROBE_SECONDS)
