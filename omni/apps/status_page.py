"""Where the platform's own processes find the status page."""

from __future__ import annotations

import httpx2

from omni.apps.settings import Settings
from omni.domains.sla.facade import HttpStatusPage
from omni.kit.clock import SystemClock


def status_page(settings: Settings, client: httpx2.AsyncClient) -> HttpStatusPage:
    """The status page whose record availability is measured by. Raises InvalidMasterKey, OSError."""
    url = settings.status_url or f"http://{settings.status_host}:{settings.status_port}"
    components = [name for name in map(str.strip, settings.sla_components.split(",")) if name]
    return HttpStatusPage(client, url, settings.load_status_token(), components, SystemClock())
