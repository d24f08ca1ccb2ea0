"""What requests earned beside what they cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from omni.domains.metering import facade as metering
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.people import People, problem

PATH = "/api/operator/margins"


async def test_operators_see_what_tenants_models_and_endpoints_earn(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    at = datetime(2026, 3, 5, 12, 20, tzinfo=UTC)
    money = {"requests": 1, "spend_nanos": 500, "cost_nanos": 300}
    loss = {"requests": 1, "spend_nanos": 10, "cost_nanos": 400, "written_off_nanos": 90}
    events = [
        usage_event(owner.tenant_id, at, "live", **money),
        replace(usage_event(owner.tenant_id, at, "live", **loss), model="margin-model", endpoint="POST /v1/margins"),
        usage_event(owner.tenant_id, at, "test", **money),
    ]
    async with plane.system_database.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
        await metering.record(session, events)

    async def asked(group_by: str, group: str) -> list[tuple[int, int, int, int, int]]:
        query = f"{PATH}?group_by={group_by}&since=2026-03-01T00:00:00Z&until=2026-04-01T00:00:00Z"
        names = ("requests", "earned_nanos", "cost_nanos", "written_off_nanos", "margin_nanos")
        found = (await operator.get(query)).json()["data"]
        return [tuple(each[name] for name in names) for each in found if each["group"] == group]

    assert await asked("tenant", str(owner.tenant_id)) == [(2, 510, 700, 90, -190)]
    assert await asked("model", "margin-model") == [(1, 10, 400, 90, -390)]
    assert await asked("endpoint", "POST /v1/margins") == [(1, 10, 400, 90, -390)]
    assert problem(await owner.get(PATH))[0] in (403, 404)
    odd = await operator.get(f"{PATH}?since=2026-03-01T00:07:00Z")
    assert problem(odd) == (400, "period_not_whole")
