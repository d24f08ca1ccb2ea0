"""Usage of operators' meters over the API: groups, filters, files, the events behind, problems."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pyarrow.parquet
import pytest

from omni.domains.metering import service
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.service.ingesting import Reporter, ingest
from omni.foundation.db.system_session import SystemDatabase
from omni.testing.usage import usage_event
from tests.domains.people import People, Person, problem

USAGE = "/api/tenants/{t}/usage"


class Fixture:
    """A tenant with a mean of seconds by region."""

    def __init__(self, person: Person, meter: Meter, day: datetime) -> None:
        self.person, self.meter = person, meter
        self.period = f"since={quote(day.isoformat())}&until={quote((day + timedelta(days=1)).isoformat())}"

    async def get(self, path: str, query: str = "") -> Any:
        return await self.person.get(f"{USAGE}{path}?meter={self.meter.code}&{self.period}&{query}")


@pytest.fixture
async def used(people: People, system_database: SystemDatabase) -> Fixture:
    person, code = await people.owner(), f"m_{uuid4().hex[:12]}"
    meter = Meter(
        code, code, "second", "", "average", f"test.{code}", "seconds", dimensions=("region", "tier"), scope="operator"
    )
    now = people.plane.clock.now()
    day = now.replace(hour=0, minute=0, second=0) - timedelta(days=2)
    seen = [("eu", 1), ("eu", 1), ("eu", 2), ("=us", "0.5")]
    events = [
        {"specversion": "1.0", "id": str(number), "source": "s", "type": meter.event_type,
         "time": (day + timedelta(hours=number)).isoformat(), "data": {"seconds": seconds, "region": region}}
        for number, (region, seconds) in enumerate(seen)
    ]  # fmt: skip
    async with system_database.session() as session:
        await service.seed_meters(session)
        await service.ensure_partitions(session, now)
        spending = usage_event(person.tenant_id, day, requests=1, spend_nanos=5, cost_nanos=3, written_off_nanos=1)
        await service.record(session, [spending])
    async with people.plane.database.shared() as shared:
        await meters_repository.insert_missing(shared, [meter])
    async with people.plane.database.write(person.tenant_id) as write:
        assert (await ingest(write, events, Reporter("live", UUID(int=1)), now)).accepted == 4
    return Fixture(person, meter, day)


async def test_groups_and_filters(used: Fixture) -> None:
    found = (await used.get("", "group_by=region&group_by=tier")).json()["data"]
    assert [(each["dimensions"], each["group"], each["quantity"], each["events"]) for each in found] == [
        ({"region": "=us", "tier": ""}, "=us, ", "0.5", 1), ({"region": "eu", "tier": ""}, "eu, ", "1.333333333333", 3),
    ]  # fmt: skip
    one = (await used.get("", "filter=region:eu&filter=region:us&window=month")).json()["data"]
    assert [(each["quantity"], each["meter"]) for each in one] == [("1.333333333333", used.meter.code)]
    hours = (await used.get("", "window=hour&time_zone=Asia/Kolkata")).json()["data"]
    assert [each["quantity"] for each in hours] == [1, 1, 2, "0.5"]


async def test_every_meter_is_listed_and_money_is_not(used: Fixture) -> None:
    found = (await used.person.get(f"{USAGE}?window=month&{used.period}")).json()["data"]
    assert {(each["group"], each["quantity"]) for each in found} == {("requests", 1), (used.meter.code, "1.125")}
    for meter in ("cost_nanos", "spend_nanos", "written_off_nanos"):
        assert problem(await used.person.get(f"{USAGE}?meter={meter}")) == (404, "meter_not_found")
        assert problem(await used.person.get(f"{USAGE}/events?meter={meter}")) == (404, "meter_not_found")


async def test_a_csv_file_that_is_no_formula(used: Fixture) -> None:
    answer = await used.get("/export", "group_by=region")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    start = rows[1][0]
    assert rows == [
        ["start", "meter", "region", "quantity", "events"],
        [start, used.meter.code, "'=us", "0.5", "1"],
        [start, used.meter.code, "eu", "1.333333333333", "3"],
    ]


async def test_a_parquet_file(used: Fixture) -> None:
    answer = await used.get("/export", "group_by=region&format=parquet")
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    assert table.column_names == ["start", "meter", "region", "quantity", "events"]
    assert table.column("region").to_pylist() == ["=us", "eu"]
    assert [str(value) for value in table.column("quantity").to_pylist()] == ["0.500000000000", "1.333333333333"]
    assert table.column("start").to_pylist()[0].tzinfo is not None


async def test_the_events_behind_a_figure(used: Fixture) -> None:
    first = (await used.get("/events", "filter=region:eu&limit=2")).json()["data"]
    assert [(each["id"], each["value"]) for each in first] == [("0", "1"), ("1", "1")]
    rest = (await used.get("/events", f"filter=region:eu&after={first[-1]['cursor']}")).json()["data"]
    assert [each["id"] for each in rest] == ["2"]


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("", "group_by=colour", "unknown_dimension"),
        ("/export", "group_by=colour", "unknown_dimension"),
        ("/events", "filter=colour:red", "unknown_dimension"),
        ("", "filter=region", "invalid_filter"),
        ("/events", "after=yesterday", "invalid_cursor"),
        ("/events", "limit=0", "invalid_request"),
        ("/export", "format=xlsx", "invalid_request"),
    ],
)
async def test_bad_questions(used: Fixture, path: str, query: str, code: str) -> None:
    assert problem(await used.get(path, query)) == (400, code)


async def test_others_get_nothing(used: Fixture, people: People) -> None:
    stranger = await people.owner()
    stranger_path = f"/api/tenants/{used.person.tenant_id}/usage"
    for path in ("", "/export", f"/events?meter={used.meter.code}", "/problems"):
        assert problem(await stranger.get(stranger_path + path)) == (404, "tenant_not_found")
    own = await stranger.get(f"{USAGE}?meter={used.meter.code}&{used.period}")
    assert own.json()["data"] == []


async def test_problems_of_one_tenant_and_of_all(
    used: Fixture, people: People, system_database: SystemDatabase
) -> None:
    now = people.plane.clock.now()
    wrong = [{"specversion": "1.0", "id": "x", "source": "s", "type": "no.such", "data": {}}]
    async with people.plane.database.write(used.person.tenant_id) as session:
        await ingest(session, wrong, Reporter("live", UUID(int=1)), now)
    async with system_database.session() as system:
        await service.record(system, [usage_event(used.person.tenant_id, now, teleports=2)])
    mine = (await used.person.get(f"{USAGE}/problems")).json()["data"]
    assert {(each["code"], each["what"], each["events"]) for each in mine} == {
        ("rejected.unknown_event_type", "", 1), ("unknown_meter", "teleports", 1), ("written_off", "", 1),
    }  # fmt: skip
    assert problem(await used.person.get("/api/usage/problems")) == (403, "operator_required")
    every = (await (await people.operator()).get("/api/usage/problems")).json()["data"]
    assert [each for each in every if each["tenant_id"] == str(used.person.tenant_id)] == mine
