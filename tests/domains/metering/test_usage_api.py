"""`GET /api/tenants/{tenant_id}/usage`."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from omni.domains.metering import service
from omni.foundation.db.system_session import SystemDatabase
from omni.testing.usage import usage_event
from tests.domains.people import People

USAGE = "/api/tenants/{t}/usage"


async def test_usage_by_meter_and_mode(people: People, system_database: SystemDatabase) -> None:
    person = await people.owner()
    now = datetime.now(UTC)
    async with system_database.session() as session:
        await service.seed_meters(session)
        await service.ensure_partitions(session, now)
        events = [usage_event(person.tenant_id, now, requests=1, pages=2) for _ in range(3)]
        await service.record(session, [*events, usage_event(person.tenant_id, now, "test", requests=1)])
    live = (await person.get(f"{USAGE}?window=month")).json()["data"]
    assert {(point["group"], point["quantity"], point["events"]) for point in live} == {
        ("requests", 3, 3), ("pages", 6, 3),
    }  # fmt: skip
    test = (await person.get(f"{USAGE}?window=month&mode=test")).json()["data"]
    assert [(point["group"], point["quantity"]) for point in test] == [("requests", 1)]
    by_endpoint = (await person.get(f"{USAGE}?group_by=endpoint&meter=pages")).json()["data"]
    assert [(point["group"], point["quantity"]) for point in by_endpoint] == [("POST /v1/embeddings", 6)]


async def test_days_begin_where_the_time_zone_says(people: People, system_database: SystemDatabase) -> None:
    person = await people.owner()
    late = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    async with system_database.session() as session:
        await service.ensure_partitions(session, late)
        await service.record(session, [usage_event(person.tenant_id, late, requests=1)])
    since, until = quote("2026-10-30T00:00:00Z"), quote("2026-11-02T00:00:00Z")
    starts = {}
    for zone in ("UTC", "Europe/Ljubljana"):
        answer = await person.get(f"{USAGE}?since={since}&until={until}&window=day&time_zone={zone}")
        starts[zone] = datetime.fromisoformat(answer.json()["data"][0]["start"])
    assert starts["UTC"] == datetime(2026, 10, 31, tzinfo=UTC)
    assert starts["Europe/Ljubljana"] == datetime(2026, 10, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("group_by=endpoint", "meter_missing"),
        ("time_zone=Mars/Olympus", "unknown_time_zone"),
        ("since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z", "period_empty"),
        ("since=2026-01-01T00:00:00Z&until=2026-06-01T00:00:00Z&window=hour", "period_too_long"),
        ("window=year", "invalid_request"),
        ("since=yesterday", "invalid_request"),
    ],
)
async def test_bad_questions_say_what_is_wrong(people: People, query: str, code: str) -> None:
    person = await people.owner()
    answer = await person.get(f"{USAGE}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_meters_are_public(people: People, system_database: SystemDatabase) -> None:
    async with system_database.session() as session:
        await service.seed_meters(session)
    codes = {meter["code"] for meter in (await people.client.get("/api/meters")).json()["data"]}
    assert codes >= {"requests", "input_tokens", "compute_ms", "pages"}
