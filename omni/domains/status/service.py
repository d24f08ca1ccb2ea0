"""Probes components and sums up what is known of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2

from omni.domains.status.repository import Probe, ProbeHistory
from omni.domains.status.rules import FAILURES_FOR_OUTAGE, ComponentState, component_state, overall_indicator
from omni.kit.clock import Clock

PROBE_TIMEOUT_SECONDS = 5.0
UPTIME_DAYS = 90


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """What is known of one component."""

    name: str
    state: ComponentState
    probed_at: datetime | None
    uptime_basis_points: int | None
    """Share of good probes in 90 days, in hundredths of a percent; None before the first."""


@dataclass(frozen=True, slots=True)
class StatusSummary:
    """The whole page."""

    indicator: str
    description: str
    components: tuple[ComponentStatus, ...]
    updated_at: datetime


class StatusService:
    """Probes every component and answers from the history."""

    def __init__(self, components: Mapping[str, str], history: ProbeHistory, clock: Clock) -> None:
        self._components = components
        self._history = history
        self._clock = clock

    async def probe_all(self, client: httpx2.AsyncClient) -> None:
        """One probe of each component, at the same time."""
        probes = await asyncio.gather(*(self._probe(client, name, url) for name, url in self._components.items()))
        for probe in probes:
            self._history.add(probe)

    def forget_old(self) -> None:
        """Drops probes that no figure needs any more."""
        self._history.forget_before(self._clock.now() - timedelta(days=UPTIME_DAYS + 1))

    def summary(self) -> StatusSummary:
        components = tuple(self._component(name) for name in self._components)
        indicator, description = overall_indicator([component.state for component in components])
        probed = [component.probed_at for component in components if component.probed_at]
        return StatusSummary(indicator, description, components, max(probed, default=self._clock.now()))

    def _component(self, name: str) -> ComponentStatus:
        newest = self._history.newest(name, FAILURES_FOR_OUTAGE)
        good, total = self._history.uptime(name, self._clock.now() - timedelta(days=UPTIME_DAYS))
        return ComponentStatus(
            name,
            component_state([probe.ok for probe in newest]),
            newest[0].probed_at if newest else None,
            good * 10_000 // total if total else None,
        )

    async def _probe(self, client: httpx2.AsyncClient, name: str, url: str) -> Probe:
        started = time.monotonic()
        try:
            response = await client.get(url, timeout=PROBE_TIMEOUT_SECONDS)
            reason = "" if response.status_code == 200 else f"HTTP {response.status_code}"
        except httpx2.HTTPError as error:
            reason = type(error).__name__
        millis = int((time.monotonic() - started) * 1000)
        return Probe(name, self._clock.now(), not reason, millis, reason)
