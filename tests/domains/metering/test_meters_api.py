"""`/api/meters`: operators add and retire, everyone reads."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from omni.domains.metering import service
from omni.foundation.db.system_session import SystemDatabase
from tests.domains.people import People, problem


def body(**changes: Any) -> dict[str, Any]:
    code = f"m_{uuid4().hex[:12]}"
    given = {
        "code": code, "name": "Rendered", "unit": "second", "aggregation": "sum", "event_type": f"test.{code}",
        "value_property": "video.seconds", "dimensions": ["region", "subject"], "filters": {"tier": ["gold"]},
    }  # fmt: skip
    return {**given, **changes}


async def test_an_operator_adds_a_meter_and_the_worker_counts_what_came_before(people: People) -> None:
    operator, new = await people.operator(), body()
    made = await operator.post("/api/meters", new)
    assert made.status_code == 201
    assert made.json() == new | {"description": "", "unique_property": None, "scope": "operator", "active": True}
    listed = (await people.client.get("/api/meters")).json()["data"]
    assert made.json() in listed
    messages = [message for message in await people.plane.run_tasks() if message.task == "metering.count_meter"]
    assert {"code": new["code"]} in [message.args for message in messages]
    assert problem(await operator.post("/api/meters", new)) == (409, "meter_exists")


async def test_a_meter_is_renamed_and_retired_but_what_it_counts_stays(people: People) -> None:
    operator, new = await people.operator(), body()
    await operator.post("/api/meters", new)
    path = f"/api/meters/{new['code']}"
    changed = await operator.call("PATCH", path, {"name": "Seconds", "active": False})
    assert (changed.status_code, changed.json()["name"], changed.json()["active"]) == (200, "Seconds", False)
    assert problem(await operator.call("PATCH", path, {"aggregation": "max"})) == (400, "invalid_request")
    assert problem(await operator.call("PATCH", "/api/meters/none", {"name": "x"})) == (404, "meter_not_found")


async def test_the_platforms_own_meters_stay(people: People, system_database: SystemDatabase) -> None:
    async with system_database.session() as session:
        await service.seed_meters(session)
    operator = await people.operator()
    answer = await operator.call("PATCH", "/api/meters/requests", {"active": False})
    assert problem(answer) == (409, "platform_meter")


async def test_only_operators_write(people: People) -> None:
    owner = await people.owner()
    assert problem(await owner.post("/api/meters", body())) == (403, "operator_required")
    assert problem(await owner.call("PATCH", "/api/meters/requests", {"name": "x"})) == (403, "operator_required")
    assert problem(await people.client.post("/api/meters", json=body())) == (401, "not_authenticated")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"code": "Upper"}, "code"),
        ({"code": "spend_nanos"}, "code"),
        ({"event_type": "omni.request"}, "event_type"),
        ({"value_property": None}, "value_property"),
        ({"value_property": "a..b"}, "value_property"),
        ({"value_property": "a.0"}, "value_property"),
        ({"aggregation": "count"}, "value_property"),
        ({"aggregation": "unique", "value_property": None}, "unique_property"),
        ({"unique_property": "user"}, "unique_property"),
        ({"dimensions": ["region", "region"]}, "dimensions"),
        ({"dimensions": ["a b"]}, "dimensions"),
        ({"dimensions": [f"d{number}" for number in range(11)]}, "dimensions"),
        ({"filters": {"tier": []}}, "filters"),
        ({"filters": {"": ["x"]}}, "filters"),
    ],
)
async def test_a_meter_that_contradicts_itself_is_refused(people: People, changes: dict[str, Any], param: str) -> None:
    operator, wrong = await people.operator(), body(**changes)
    answer = await operator.post("/api/meters", wrong)
    assert problem(answer) == (400, "invalid_meter")
    assert answer.json()["param"] == param
    listed = {meter["code"] for meter in (await people.client.get("/api/meters")).json()["data"]}
    assert wrong["code"] not in listed or wrong["code"] == "spend_nanos"
