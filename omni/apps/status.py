"""`omni serve status`: the prober and the public status page. Needs no database, Redis or master key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta

import httpx2
import uvloop

from omni.apps.mail import create_mailer
from omni.apps.serving import begin, serve_metrics, until_stopped
from omni.apps.settings import Settings
from omni.apps.tracing import create_tracing
from omni.apps.web import WebServer
from omni.domains.status.contracts import Component
from omni.domains.status.repository.file import StatusFile
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.repository.probes import ProbeHistory
from omni.domains.status.repository.subscriptions import DeliveryQueue, SubscriptionStore
from omni.domains.status.rules import slug
from omni.domains.status.service.alerts import AlertService
from omni.domains.status.service.deliveries import AT_ONCE, DeliveryService
from omni.domains.status.service.incidents import IncidentService
from omni.domains.status.service.overview import OverviewService
from omni.domains.status.service.probing import PROBE_SECONDS, Prober
from omni.domains.status.service.recalling import RecallService
from omni.domains.status.service.subscriptions import SubscriptionService
from omni.foundation.outbound import OutboundPost
from omni.kit.clock import Clock, SystemClock
from omni.portal.status.deps import StatusPortal
from omni.portal.status.routes import status_app
from omni.telemetry.traces import Tracing

FIRST_PROBE_SECONDS = 5.0
"""What starts together with us is not down only because it is still starting."""
FORGET_EVERY = timedelta(hours=6)
DELIVER_EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class StatusServices:
    """What the process runs."""

    file: StatusFile
    prober: Prober
    portal: StatusPortal
    deliveries: DeliveryService


def main() -> None:
    """Runs until SIGTERM."""
    settings = Settings()
    uvloop.run(until_stopped(lambda stop: _run(settings, stop)))


def build(settings: Settings, clock: Clock, tracing: Tracing) -> StatusServices:
    """Everything over one file in OMNI_HOME/status. Raises ValueError for bad probe URLs."""
    components = probe_urls(settings.probe_urls)
    file = StatusFile(settings.home / "status" / "status.sqlite3")
    history, store = ProbeHistory(file), IncidentStore(file)
    subscribers, queue = SubscriptionStore(file), DeliveryQueue(file)
    overview = OverviewService(components, history, store, clock)
    incidents = IncidentService(components, file, store, queue, clock)
    outbound = OutboundPost(settings.status_webhooks_to_loopback)
    page_url = (settings.status_url or f"http://{settings.status_host}:{settings.status_port}").rstrip("/")
    portal = StatusPortal(
        overview,
        incidents,
        AlertService(components, file, store, incidents, clock),
        RecallService(components, history, store, clock),
        SubscriptionService(file, subscribers, queue, outbound, clock),
        page_url,
        settings.status_token.get_secret_value() if settings.status_token else None,
    )
    deliveries = DeliveryService(
        (subscribers, queue, store), overview, (create_mailer(settings), outbound), page_url, clock, tracing
    )
    return StatusServices(file, Prober(components, history, store, clock), portal, deliveries)


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    registry = begin("status", settings)
    tracing = create_tracing("status", settings, registry)
    services = build(settings, SystemClock(), tracing)
    server = WebServer(status_app(services.portal), settings.status_host, settings.status_port, 2)
    await server.start()
    working = [asyncio.create_task(_probe_forever(services)), asyncio.create_task(_deliver_forever(services))]
    metrics = serve_metrics(
        settings.metrics_host, settings.metrics_port, registry, lambda: (server.started, b'{"status":"ok"}')
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *working}, return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in working if task.done()]
    for task in (stopping, *working):
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    await server.stop()
    metrics.shutdown()
    services.file.close()
    tracing.close()
    for task in ended:
        task.result()  # they do not end by themselves: let the error end the process, which is then started again


def probe_urls(text: str) -> list[Component]:
    """`name=url,name=url` as components. Raises ValueError for what is not that, and for names that look alike."""
    found: dict[str, Component] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, separator, url = part.partition("=")
        component_id = slug(name)
        if not separator or not component_id or not url.startswith(("http://", "https://")):
            raise ValueError(f"OMNI_PROBE_URLS: {part!r} is not name=http://…")
        if component_id in found:
            raise ValueError(f"OMNI_PROBE_URLS: {name.strip()!r} is there twice")
        found[component_id] = Component(component_id, name.strip(), url.strip())
    return list(found.values())


async def _probe_forever(services: StatusServices) -> None:
    """By a fixed pace, however long the probes take: three failures in a row are seen within 50 s."""
    forget_in = 0.0
    await asyncio.sleep(FIRST_PROBE_SECONDS)
    async with httpx2.AsyncClient(timeout=PROBE_SECONDS, trust_env=False, follow_redirects=False) as client:
        due = time.monotonic()
        while True:
            services.portal.incidents.advance_maintenances()
            await services.prober.probe_all(client)
            forget_in -= PROBE_SECONDS
            if forget_in <= 0:
                services.prober.forget_old()
                services.portal.alerts.forget_old()
                services.portal.subscriptions.forget_old()
                forget_in = FORGET_EVERY.total_seconds()
            due = max(due + PROBE_SECONDS, time.monotonic())
            await asyncio.sleep(due - time.monotonic())


async def _deliver_forever(services: StatusServices) -> None:
    while True:
        if await services.deliveries.deliver_due() < AT_ONCE:
            await asyncio.sleep(DELIVER_EVERY_SECONDS)
