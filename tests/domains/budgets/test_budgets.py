"""Budgets and wallets: set, published, watched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from omni.contracts.money import MoneySnapshot
from omni.contracts.redis_names import money_snapshot, spend_key
from omni.domains.budgets import facade
from omni.domains.budgets.rules import period_name, reached
from omni.domains.metering import facade as metering
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.people import People, Person, problem, stored


async def spend(plane: ControlPlane, owner: Person, nanos: int, moment: datetime | None = None) -> None:
    at = moment or plane.clock.now()
    async with plane.system_database.session() as session:
        await metering.ensure_partitions(session, at)
        await metering.record(session, [usage_event(owner.tenant_id, at, requests=1, spend_nanos=nanos)])


def budget(scope: str, scope_id: object, limit_nanos: int, **changes: object) -> dict[str, object]:
    return {"scope": scope, "scope_id": str(scope_id), "period": "month", "limit_nanos": limit_nanos, **changes}


async def test_budgets_and_credit_reach_the_gateways(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    made = await owner.post("/api/tenants/{t}/budgets", budget("tenant", owner.tenant_id, 100))
    assert made.status_code == 201, made.text
    soft = budget("project", owner.project_id, 50, period="day", hard=False)
    assert (await owner.post("/api/tenants/{t}/budgets", soft)).status_code == 201
    again = await owner.post("/api/tenants/{t}/budgets", budget("tenant", owner.tenant_id, 7))
    assert problem(again) == (409, "budget_exists")
    await spend(plane, owner, 30)
    await owner.call("PATCH", f"/api/tenants/{{t}}/budgets/{made.json()['id']}", {"limit_nanos": 90})
    listed = (await owner.get("/api/tenants/{t}/budgets")).json()["data"]
    assert [(each["limit_nanos"], each["spent_nanos"], each["remaining_nanos"]) for each in listed] == [
        (90, 30, 60),
        (50, 0, 50),
    ]
    credit = {"amount_nanos": 1000, "reason": "transfer"}
    path = f"/api/operator/tenants/{owner.tenant_id}/credits"
    key = uuid4().hex
    granted = [(await operator.post(path, credit, key)).json() for _ in range(2)]
    assert granted[0] == granted[1] == {"credit_nanos": 1000, "spent_nanos": 30, "remaining_nanos": 970}
    await operator.post(path, {"amount_nanos": -200, "reason": "mistake"})
    await plane.run_tasks()
    snapshot = MoneySnapshot.from_json(await stored(plane.redis, money_snapshot(owner.tenant_id)))
    assert snapshot.credit_nanos == 800
    assert {(each.scope, each.period, each.limit_nanos, each.hard) for each in snapshot.budgets} == {
        ("tenant", "month", 90, True), ("project", "day", 50, False),
    }  # fmt: skip
    assert (await owner.call("DELETE", f"/api/tenants/{{t}}/budgets/{made.json()['id']}")).status_code == 204
    assert problem(await operator.post(f"/api/operator/tenants/{uuid4()}/credits", credit)) == (404, "tenant_not_found")


async def test_a_foreign_scope_answers_like_a_missing_one(people: People) -> None:
    owner, stranger = await people.owner(), await people.owner()
    for scope, scope_id in (("tenant", stranger.tenant_id), ("project", stranger.project_id), ("key", uuid4())):
        refused = await owner.post("/api/tenants/{t}/budgets", budget(scope, scope_id, 1))
        assert problem(refused) == (404, "budget_scope_not_found")


async def test_each_alert_is_sent_once_however_many_look(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    await owner.post("/api/tenants/{t}/budgets", budget("tenant", owner.tenant_id, 1000))
    open_session, now = plane.system_database.session, plane.clock.now()

    async def mails() -> list[str]:
        for _ in range(2):
            await facade.find_alerts(plane.database, open_session, now)
        await plane.run_tasks()
        return [mail.subject for mail in plane.mailbox.to(owner.email)]

    assert await mails() == []
    await spend(plane, owner, 500)
    assert await mails() == ["50 % of a budget is spent"]
    await spend(plane, owner, 499)
    assert await mails() == ["50 % of a budget is spent", "80 % of a budget is spent"]
    await spend(plane, owner, 1)
    assert (await mails())[-1] == "100 % of a budget is spent"
    assert len(await mails()) == 3


async def test_spending_counters_are_rebuilt_from_the_truth(plane: ControlPlane, people: People) -> None:
    owner, now = await people.owner(), plane.clock.now()
    await spend(plane, owner, 70, now)
    await spend(plane, owner, 5, now - timedelta(days=40))
    partitions = list(range(16))
    async with plane.system_database.session() as session:
        await metering.Counters(plane.redis).rebuild(session, partitions, now)
    names = [
        spend_key(owner.tenant_id, owner.tenant_id, "live", period)
        for period in ("all", f"{now:%Y%m}", f"{now:%Y%m%d}")
    ]
    assert await plane.redis.mget(names) == [b"75", b"70", b"70"]
    assert await plane.redis.ttl(names[0]) == -1, "a wallet's counter never ends"


def test_periods_and_thresholds() -> None:
    now = datetime(2026, 11, 24, 5, tzinfo=UTC)
    assert [period_name(period, now) for period in ("day", "month", "all")] == ["20261124", "202611", "all"]
    assert reached(499, 1000, (50, 80)) == []
    assert reached(800, 1000, (80, 50, 100)) == [50, 80]
