"""What the status page remembers of a time: outages to the second, maintenances apart, and when nobody looked."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from omni.domains.status.contracts import Impact, Probe, Status
from omni.domains.status.rules import BELIEVED_FOR, Watch
from omni.domains.status.service.incidents import NewIncident
from tests.domains.status.conftest import Site

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(seconds: int) -> datetime:
    return START + seconds * SECOND


def watched(length: int, *probes: tuple[int, str]) -> Watch:
    watch = Watch("api", START, at(length))
    for seconds, seen in probes:
        watch.see(Probe("api", at(seconds), seen == "up", 5, "", maintenance="maintenance" in seen))
    watch.finish()
    return watch


def spans(stretches: list[Any]) -> list[tuple[float, float]]:
    return [((each.start - START).total_seconds(), (each.end - START).total_seconds()) for each in stretches]


def test_a_failed_probe_speaks_until_the_next_one() -> None:
    watch = watched(100, (-10, "down"), (5, "up"), (20, "down"), (35, "down"), (50, "up"))
    assert spans(watch.outages) == [(0, 5), (20, 50)]
    assert watch.watched == 100 * SECOND


def test_after_five_minutes_nothing_is_known() -> None:
    watch = watched(1000, (10, "down"), (900, "down"))
    assert spans(watch.outages) == [(10, 310), (900, 1000)]
    assert watch.watched == 400 * SECOND


def test_what_fails_in_a_maintenance_is_no_outage() -> None:
    watch = watched(60, (0, "down"), (15, "maintenance"), (30, "up, maintenance"), (45, "down"))
    assert spans(watch.outages) == [(0, 15), (45, 60)]
    assert spans(watch.maintenances) == [(15, 45)]


def test_second_by_second_it_is_the_same() -> None:
    for seed in range(300):
        rng = random.Random(seed)
        times = sorted(rng.sample(range(-400, 1500), rng.randrange(12)))
        probes = [(each, rng.choice(("up", "down", "maintenance"))) for each in times]
        watch = watched(1200, *probes)
        found = [0, 0, 0]
        for second in range(1200):
            before = [each for each in probes if each[0] <= second]
            if before and second - before[-1][0] < BELIEVED_FOR.total_seconds():
                found[0] += 1
                found[1] += before[-1][1] == "down"
                found[2] += before[-1][1] == "maintenance"
        lengths = [sum(end - start for start, end in spans(each)) for each in (watch.outages, watch.maintenances)]
        assert [watch.watched.total_seconds(), *lengths] == found, seed


def query(start: datetime, end: datetime, *components: str) -> str:
    named = "".join(f"&component={each}" for each in components)
    return f"/api/record?from={start:%Y-%m-%dT%H:%M:%SZ}&until={end:%Y-%m-%dT%H:%M:%SZ}{named}"


async def test_the_record_of_a_day(writer: httpx2.AsyncClient, site: Site) -> None:
    site.probe("api", True, False, False, True)
    site.probe("inference", True, True)
    made = site.services.portal.incidents.open(
        NewIncident("API away", "x", impact=Impact.MAJOR, component_ids=("api",), status=Status.INVESTIGATING)
    )
    site.services.portal.incidents.open(NewIncident("Console away", "x", component_ids=("console",)))
    site.clock.advance(timedelta(hours=1))
    answer = await writer.get(query(START, START + timedelta(days=1), "api", "inference"))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["outages"] == [{"component": "api", "start": at(30).isoformat(), "end": at(60).isoformat()}]
    assert told["maintenances"] == []
    assert [each["id"] for each in told["incidents"]] == [made.incident_id]
    seen = (site.clock.now() - START) // SECOND
    assert told["unwatched_micros"]["api"] == (seen - 45 - 300) * 1_000_000
    assert told["unwatched_micros"]["inference"] == (seen - 15 - 300) * 1_000_000


async def test_an_outage_over_midnight_is_one(writer: httpx2.AsyncClient, site: Site) -> None:
    site.clock.advance(timedelta(hours=11, minutes=59))
    site.probe("api", *[False] * 20)
    answer = await writer.get(query(START, START + timedelta(days=2), "api"))
    assert len(answer.json()["outages"]) == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (query(START, START + timedelta(days=1), "nothing"), 404, "component_not_found"),
        (query(START, START + timedelta(days=33), "api"), 400, "recall_period"),
        (query(START, START - SECOND, "api"), 400, "recall_period"),
        (query(START - timedelta(days=91), START - timedelta(days=60), "api"), 400, "recall_period"),
        ("/api/record?component=api", 400, "invalid_request"),
        ("/api/record?component=api&from=2026-11-24&until=2026-11-24T13:00:00Z", 400, "invalid_request"),
    ],
)
async def test_what_is_refused(writer: httpx2.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await writer.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_only_the_platform_itself_may_ask(client: httpx2.AsyncClient) -> None:
    answer = await client.get(query(START, START + timedelta(days=1), "api"))
    assert (answer.status_code, answer.json()["code"]) == (401, "status_token_invalid")
