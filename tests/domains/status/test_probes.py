"""States from probes, days that equal a recount of the raw rows, files of earlier releases."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from omni.domains.status.contracts import Component, ComponentState, Day, Probe
from omni.domains.status.repository.file import StatusFile
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.repository.probes import ProbeHistory
from omni.domains.status.rules import BELIEVED_FOR, last_days, overall, probed_state, slug, uptime_basis_points
from omni.domains.status.service.probing import PROBE_SECONDS, PROBE_TIMEOUT_SECONDS, Prober
from omni.kit.clock import ManualClock
from tests.domains.status.conftest import Site

UP, UNKNOWN, MAINTENANCE = ComponentState.OPERATIONAL, ComponentState.UNKNOWN, ComponentState.MAINTENANCE
DEGRADED, PARTIAL, DOWN = ComponentState.DEGRADED, ComponentState.PARTIAL, ComponentState.OUTAGE
START = datetime(2026, 8, 20, tzinfo=UTC)


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
    assert probed_state(newest_first) is state


@pytest.mark.parametrize(
    ("states", "indicator", "key"),
    [
        ([], "none", "page_unknown"),
        ([UP, UP], "none", "page_none"),
        ([UNKNOWN, UP], "none", "page_unknown"),
        ([MAINTENANCE, UP], "maintenance", "page_maintenance"),
        ([DEGRADED, MAINTENANCE], "minor", "page_minor"),
        ([PARTIAL, UP], "major", "page_major"),
        ([DOWN, UP], "major", "page_major"),
        ([DOWN, DOWN], "critical", "page_critical"),
    ],
)
def test_the_page_says_the_worst(states: list[ComponentState], indicator: str, key: str) -> None:
    assert overall(states) == (indicator, key)


def test_a_dead_component_is_an_outage_within_a_minute() -> None:
    """It dies right after a probe, and each probe runs into its timeout."""
    assert 3 * PROBE_SECONDS + PROBE_TIMEOUT_SECONDS <= 60
    assert PROBE_TIMEOUT_SECONDS < PROBE_SECONDS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 95 * 86_400 * 1_000_000), st.booleans(), st.booleans(), st.sampled_from(["api", "jobs"])
        ),
        max_size=60,
    ),
    st.integers(0, 95),
)
def test_days_equal_a_recount_of_the_raw_rows(probes: list[tuple[int, bool, bool, str]], forget_days: int) -> None:
    with TemporaryDirectory() as folder:
        file = StatusFile(Path(folder) / "s.sqlite3")
        history = ProbeHistory(file)
        for micros, ok, maintenance, component in probes:
            history.add(Probe(component, START + timedelta(microseconds=micros), ok, 1, "", maintenance))
        history.forget_before((START + timedelta(days=forget_days)).date())
        for component in ("api", "jobs"):
            for since in (START.date(), START.date() + timedelta(days=30)):
                assert history.days(component, since) == history.recount(component, since)
        file.close()


def test_a_day_that_was_changed_behind_the_probes_is_seen(site: Site) -> None:
    site.probe("api", True, False)
    today = site.clock.now().date()
    assert history_agrees(site, today)
    site.services.file.connection.execute("update days set good = good + 1")
    assert not history_agrees(site, today)


def history_agrees(site: Site, since: date) -> bool:
    return site.history.days("api", since) == site.history.recount("api", since)


def test_failures_during_a_maintenance_are_no_downtime(site: Site) -> None:
    now = site.clock.now()
    for ok, maintenance in ((True, False), (False, True), (True, True), (False, False)):
        site.history.add(Probe("api", now, ok, 1, "", maintenance))
    assert site.history.days("api", now.date()) == [Day(now.date(), 2, 3)]


def test_uptime_counts_the_last_90_days(site: Site) -> None:
    now = site.clock.now()
    for age_days, ok in ((100, False), (90, False), (89, False), (2, True), (0, True)):
        site.history.add(Probe("api", now - timedelta(days=age_days), ok, 5, ""))
    status = site.services.portal.overview.component("api")
    assert status is not None
    assert status.uptime_basis_points == 6666
    assert len(status.days) == 90
    assert (status.days[0].total, status.days[-1].total) == (1, 1)
    site.services.prober.forget_old()
    assert sum(day.total for day in site.history.recount("api", date(2000, 1, 1))) == 4


def test_a_day_without_probes_is_no_downtime() -> None:
    days = last_days([Day(date(2026, 11, 24), 3, 4)], date(2026, 11, 24))
    assert uptime_basis_points(days) == 7500
    assert uptime_basis_points(last_days([], date(2026, 11, 24))) is None


def test_an_old_probe_says_nothing_about_now(site: Site) -> None:
    site.probe("api", True)
    site.clock.advance(BELIEVED_FOR + timedelta(seconds=1))
    status = site.services.portal.overview.component("api")
    assert status is not None
    assert status.state is UNKNOWN


def test_a_file_of_the_first_release_keeps_its_history(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    old = sqlite3.connect(path)
    old.execute(
        "create table probes (component text not null, probed_at text not null, ok integer not null, "
        "millis integer not null, reason text not null)"
    )
    rows = [
        ("api", "2026-11-23T23:59:59+00:00", 1),
        ("api", "2026-11-24T00:00:00+00:00", 0),
        ("api", "2026-11-24T00:00:15+00:00", 1),
    ]
    old.executemany("insert into probes values (?, ?, ?, 1, '')", rows)
    old.commit()
    old.close()
    for _ in range(2):  # the second time nothing is counted again
        file = StatusFile(path)
        days = ProbeHistory(file).days("api", date(2026, 1, 1))
        assert days == [Day(date(2026, 11, 23), 1, 1), Day(date(2026, 11, 24), 1, 2)]
        assert days == ProbeHistory(file).recount("api", date(2026, 1, 1))
        file.close()


async def test_probes_are_made_and_written_down(tmp_path: Path) -> None:
    async def fine(_request: object) -> Response:
        return Response("ok")

    file = StatusFile(tmp_path / "s.sqlite3")
    components = [Component("good", "Good", "http://x/readyz"), Component("bad", "Bad", "http://x/nothing")]
    history = ProbeHistory(file)
    prober = Prober(components, history, IncidentStore(file), ManualClock(START))
    transport = httpx2.ASGITransport(app=Starlette(routes=[Route("/readyz", fine)]))
    async with httpx2.AsyncClient(transport=transport) as client:
        await prober.probe_all(client)
    assert [(history.newest(name, 1)[0].ok, history.newest(name, 1)[0].reason) for name in ("good", "bad")] == [
        (True, ""),
        (False, "HTTP 404"),
    ]
    file.close()


def test_ids_of_components() -> None:
    assert [slug(name) for name in ("API", "Batch jobs", "Plačila", "–")] == ["api", "batch-jobs", "placila", ""]
