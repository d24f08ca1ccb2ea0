"""A status page without a network: four components, a clock that stands still, mail in a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from omni.apps.settings import Settings
from omni.apps.status import StatusServices, build
from omni.domains.status.contracts import Probe
from omni.domains.status.repository.probes import ProbeHistory
from omni.kit.clock import ManualClock
from omni.portal.status.routes import status_app
from omni.testing.traces import KeptSpans

TOKEN = "omni_status_test"
COMPONENTS = ("api", "console", "inference", "jobs")


@dataclass
class Site:
    """One home; `restart` opens its file again, as a process that starts does."""

    home: Path
    clock: ManualClock
    services: StatusServices = field(init=False)
    kept: KeptSpans = field(default_factory=KeptSpans)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        settings = Settings(
            home=self.home,
            probe_urls="API=http://up/a,Console=http://up/c,Inference=http://up/i,Jobs=http://up/j",
            status_token=TOKEN,
            status_url="http://status.test",
            status_webhooks_to_loopback=True,
        )
        self.services = build(settings, self.clock, self.kept.tracing("status"))

    def restart(self) -> None:
        self.services.file.close()
        self.start()

    @property
    def history(self) -> ProbeHistory:
        return ProbeHistory(self.services.file)

    def probe(self, component_id: str, *results: bool) -> None:
        """One probe a result, 15 s apart, up to now."""
        for ok in results:
            self.clock.advance(timedelta(seconds=15))
            self.history.add(Probe(component_id, self.clock.now(), ok, 5, "" if ok else "HTTP 503"))

    def all_up(self) -> None:
        for component_id in COMPONENTS:
            self.history.add(Probe(component_id, self.clock.now(), True, 5, ""))

    def mails(self) -> list[str]:
        return [file.read_text() for file in sorted((self.home / "mail").glob("*.eml"))]

    async def deliver(self) -> int:
        return await self.services.deliveries.deliver_due()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, ManualClock(datetime(2026, 11, 24, 12, tzinfo=UTC)))
    yield made
    made.services.file.close()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    """A reader without a token."""
    transport = httpx2.ASGITransport(app=status_app(site.services.portal))
    async with httpx2.AsyncClient(transport=transport, base_url="http://status.test") as made:
        yield made


@pytest.fixture
async def writer(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    """Who has the token."""
    transport = httpx2.ASGITransport(app=status_app(site.services.portal))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://status.test", headers=headers) as made:
        yield made
