"""Probes every component."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import httpx2

from omni.domains.status.contracts import Component, Probe
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.repository.probes import ProbeHistory
from omni.domains.status.rules import RUNNING, UPTIME_DAYS
from omni.kit.clock import Clock

PROBE_SECONDS = 15
PROBE_TIMEOUT_SECONDS = 5.0


class Prober:
    """Looks, and writes down what it saw."""

    def __init__(
        self, components: Sequence[Component], history: ProbeHistory, incidents: IncidentStore, clock: Clock
    ) -> None:
        self._components = components
        self._history = history
        self._incidents = incidents
        self._clock = clock

    async def probe_all(self, client: httpx2.AsyncClient) -> None:
        """One probe of each component, at the same time."""
        maintained = {
            component_id
            for incident in self._incidents.unresolved()
            if incident.status in RUNNING
            for component_id in incident.component_ids
        }
        looks = (self._probe(client, component, component.component_id in maintained) for component in self._components)
        for probe in await asyncio.gather(*looks):
            self._history.add(probe)

    def forget_old(self) -> None:
        """Drops the days that no figure needs any more; always whole days, so that sums and probes agree."""
        self._history.forget_before((self._clock.now() - timedelta(days=UPTIME_DAYS + 1)).date())

    async def _probe(self, client: httpx2.AsyncClient, component: Component, maintained: bool) -> Probe:
        started = time.monotonic()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                response = await client.get(component.url, timeout=PROBE_TIMEOUT_SECONDS)
            reason = "" if response.status_code == 200 else f"HTTP {response.status_code}"
        except (httpx2.HTTPError, TimeoutError) as error:
            reason = type(error).__name__
        millis = int((time.monotonic() - started) * 1000)
        return Probe(component.component_id, self._clock.now(), not reason, millis, reason, maintained)
