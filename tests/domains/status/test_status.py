"""The status page: states from probes alone, uptime from what was recorded, an answer when everything else is dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from omni.domains.status.repository import Probe, ProbeHistory
from omni.domains.status.rules import ComponentState, component_state, overall_indicator
from omni.domains.status.service import StatusService
from omni.kit.clock import ManualClock
from omni.portal.status.routes import routes

UP, UNKNOWN = ComponentState.OPERATIONAL, ComponentState.UNKNOWN
DEGRADED, DOWN = ComponentState.DEGRADED, ComponentState.OUTAGE


@pytest.mark.parametrize(
    ("newest_first", "state"),
    [
        ([], UNKNOWN),
        ([True], UP),
        ([True, False, False], UP),
        ([False], DEGRADED),
        ([False, False], DEGRADED),
        ([False, False, True], DEGRADED),
        ([False, False, False], DOWN),
    ],
)
def test_a_state_comes_from_the_last_probes(newest_first: list[bool], state: ComponentState) -> None:
    assert component_state(newest_first) is state


@pytest.mark.parametrize(
    ("states", "indicator"),
    [
        ([], "none"),
        ([UP, UP], "none"),
        ([UNKNOWN, UP], "none"),
        ([DEGRADED, UP], "minor"),
        ([DOWN, UP], "major"),
        ([DOWN, DOWN], "critical"),
    ],
)
def test_the_page_says_the_worst(states: list[ComponentState], indicator: str) -> None:
    assert overall_indicator(states)[0] == indicator


def test_only_up_everywhere_is_called_operational() -> None:
    assert overall_indicator([UP, UP])[1] == "All systems operational"
    assert overall_indicator([UP, UNKNOWN])[1] != "All systems operational"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def history(tmp_path: Path) -> Iterator[ProbeHistory]:
    opened = ProbeHistory(tmp_path / "status" / "status.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
async def network() -> AsyncIterator[httpx2.AsyncClient]:
    """Two components: one that answers, one that does not find itself."""

    async def fine(_request: object) -> Response:
        return Response("ok")

    transport = httpx2.ASGITransport(app=Starlette(routes=[Route("/readyz", fine)]))
    async with httpx2.AsyncClient(transport=transport) as client:
        yield client


async def test_probes_become_the_page(history: ProbeHistory, clock: ManualClock, network: httpx2.AsyncClient) -> None:
    components = {"Good": "http://good/readyz", "Bad": "http://bad/nothing"}
    service = StatusService(components, history, clock)
    for _ in range(3):
        await service.probe_all(network)
        clock.advance(timedelta(seconds=15))
    transport = httpx2.ASGITransport(app=Starlette(routes=routes(service, "http://status.test")))
    async with httpx2.AsyncClient(transport=transport, base_url="http://status.test") as client:
        summary = (await client.get("/api/v2/summary.json")).json()
        page = await client.get("/")
    assert summary["status"] == {"indicator": "major", "description": "Partial outage"}
    assert [(c["name"], c["status"]) for c in summary["components"]] == [
        ("Good", "operational"),
        ("Bad", "major_outage"),
    ]
    assert "100.00 % in 90 days" in page.text
    assert "0.00 % in 90 days" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert history.newest("Bad", 1)[0].reason == "HTTP 404"


def test_uptime_counts_the_last_90_days(history: ProbeHistory, clock: ManualClock) -> None:
    for age_days, ok in ((100, False), (80, False), (2, True), (1, True)):
        history.add(Probe("A", clock.now() - timedelta(days=age_days), ok, 5, "" if ok else "HTTP 503"))
    service = StatusService({"A": "http://a"}, history, clock)
    assert service.summary().components[0].uptime_basis_points == 6666
    service.forget_old()
    assert history.uptime("A", clock.now() - timedelta(days=365)) == (2, 3)
