"""Plans: offer, edit, publish."""

from __future__ import annotations

from dataclasses import replace

from omni.contracts.redis_names import plan_snapshot
from omni.contracts.snapshots import PlanSnapshot
from omni.domains.plans import facade
from omni.domains.plans.seeds import FREE, SEEDS, seed
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People, problem, stored

FREE_BODY = {
    "name": "Free",
    "description": "To try things out.",
    "public": True,
    "position": 0,
    "requests_per_minute": 60,
    "request_burst": 20,
    "tokens_per_minute": 20_000,
    "requests_per_month": 10_000,
    "concurrent_requests": 10,
    "compute_ms_per_month": 600_000,
    "storage_bytes": 104_857_600,
    "models": None,
}


async def test_everyone_sees_the_plans_on_offer(people: People) -> None:
    plans = (await people.client.get("/api/plans")).json()["data"]
    assert [plan["code"] for plan in plans] == ["free", "pro", "enterprise"]
    assert plans[0]["requests_per_minute"] == 60
    assert plans[2]["requests_per_month"] is None


async def test_an_edit_reaches_the_gateways_and_seeding_keeps_it(plane: ControlPlane, people: People) -> None:
    operator = await people.operator()
    body = {**FREE_BODY, "requests_per_minute": 30, "models": ["b", "a"]}
    edited = await operator.call("PUT", "/api/operator/plans/free", body)
    assert edited.json()["models"] == ["a", "b"]
    await plane.run_tasks()
    async with plane.database.shared() as session:
        await seed(session, plane.clock.now())
    assert await plane.run_tasks() == []
    published = PlanSnapshot.from_json(await stored(plane.redis, plan_snapshot("free")))
    assert published == replace(FREE.limits, requests_per_minute=30, models=frozenset("ab"))

    await operator.call("PUT", "/api/operator/plans/free", FREE_BODY)
    await plane.run_tasks()
    assert PlanSnapshot.from_json(await stored(plane.redis, plan_snapshot("free"))) == FREE.limits


async def test_an_edit_that_makes_no_sense_is_refused(people: People) -> None:
    operator = await people.operator()
    for wrong in ({"request_burst": 0}, {"storage_bytes": -1}, {"models": ["a\x00"]}, {"code": "x"}, {"name": ""}):
        response = await operator.call("PUT", "/api/operator/plans/free", {**FREE_BODY, **wrong})
        assert problem(response) == (400, "invalid_request"), wrong
    missing = await operator.call("PUT", "/api/operator/plans/gold", FREE_BODY)
    assert problem(missing) == (404, "plan_not_found")


async def test_a_plan_that_is_not_on_offer_answers_like_a_missing_one(people: People) -> None:
    operator = await people.operator()
    hidden = {**FREE_BODY, "name": "Pro", "public": False, "position": 1}
    try:
        await operator.call("PUT", "/api/operator/plans/pro", hidden)
        answers = []
        for code in ("pro", "gold"):
            response = await operator.call("PUT", "/api/tenants/{t}/plan", {"plan_code": code})
            answers.append({**response.json(), "request_id": ""})
        assert answers[0] == answers[1]
        codes = [plan["code"] for plan in (await people.client.get("/api/plans")).json()["data"]]
        assert codes == ["free", "enterprise"]
        moved = await operator.call("PUT", f"/api/operator/tenants/{operator.tenant_id}/plan", {"plan_code": "pro"})
        assert moved.json()["plan_code"] == "pro"
    finally:
        pro = {"name": "Pro", "description": "For products in production.", "public": True, "position": 1}
        limits = {name: getattr(SEEDS[1].limits, name) for name in FREE_BODY if name not in pro}
        await operator.call("PUT", "/api/operator/plans/pro", {**pro, **limits})


async def test_all_snapshots_are_written(plane: ControlPlane) -> None:
    count = await facade.publish_all(plane.system_database.session, plane.redis)
    assert count == 3
    for plan in SEEDS:
        assert PlanSnapshot.from_json(await stored(plane.redis, plan_snapshot(plan.code))) == plan.limits
