"""What members may choose: plans that cost nothing at once, others with a subscription; limits follow it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from omni.contracts.redis_names import tenant_snapshot
from omni.contracts.snapshots import TenantSnapshot
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import LegalEntity
from omni.domains.billing.repository import subscriptions
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import WriteSession
from omni.testing.control_plane import ControlPlane
from tests.domains.billing.sales import FEE, advance, balances, lines, publish, sandbox_tenant, subscribe, verified
from tests.domains.people import People, Person, problem, stored

PLAN = "/api/tenants/{t}/plan"


async def plan_at_gateways(plane: ControlPlane, owner: Person) -> str:
    """The plan whose limits the gateways hold the tenant to."""
    while await plane.run_tasks():
        pass
    return TenantSnapshot.from_json(await stored(plane.redis, tenant_snapshot(owner.tenant_id))).plan_code


async def newest(owner: Person) -> dict[str, Any]:
    found: dict[str, Any] = (await owner.get("/api/tenants/{t}/subscriptions")).json()["data"][-1]
    return found


async def test_a_plan_that_has_a_price_is_chosen_with_a_subscription(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    await publish(plane, "enterprise", FEE)
    owner = await people.owner()
    refused = await owner.call("PUT", PLAN, {"plan_code": "pro"})
    assert problem(refused) == (409, "plan_has_price")
    assert "POST /api/tenants/{tenant_id}/subscriptions" in refused.json()["detail"]
    assert await plan_at_gateways(plane, owner) == "free"

    assert (await owner.post("/api/tenants/{t}/subscriptions", {"plan_code": "pro"})).status_code == 201
    assert await plan_at_gateways(plane, owner) == "pro"
    assert (await owner.call("PUT", PLAN, {"plan_code": "pro"})).json()["plan_code"] == "pro", "as it is"
    refused = await owner.call("PUT", PLAN, {"plan_code": "enterprise"})
    assert problem(refused) == (409, "plan_has_price")
    assert "POST /api/tenants/{tenant_id}/subscription/change" in refused.json()["detail"]
    changed = await owner.post("/api/tenants/{t}/subscription/change", {"plan_code": "enterprise"})
    assert changed.status_code == 200, changed.text
    assert await plan_at_gateways(plane, owner) == "enterprise"


async def test_a_plan_that_costs_nothing_is_chosen_at_once_and_a_subscription_goes_along(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people, datetime.fromisoformat("2026-04-01T00:00:00+00:00"))
    await subscribe(plane, owner, "pro")
    await advance(plane, owner, datetime.fromisoformat("2026-04-16T00:00:00+00:00"))
    assert (await owner.call("PUT", PLAN, {"plan_code": "free"})).json()["plan_code"] == "free"
    assert await plan_at_gateways(plane, owner) == "free"
    assert ((await newest(owner))["plan_code"], (await newest(owner))["plan_version"]) == ("free", None)
    (credit,) = await advance(plane, owner, datetime.fromisoformat("2026-04-17T00:00:00+00:00"))
    assert lines(credit) == [("credit", "base", -1500)], "half of April is given back"
    await verified(plane, owner)


async def test_without_a_subscription_a_plan_that_costs_nothing_sets_the_limits(
    plane: ControlPlane, people: People
) -> None:
    owner, operator = await people.owner(), await people.operator()
    moved = await operator.call("PUT", f"/api/operator/tenants/{owner.tenant_id}/plan", {"plan_code": "enterprise"})
    assert moved.json()["plan_code"] == "enterprise", "an operator gives any plan"
    assert await plan_at_gateways(plane, owner) == "enterprise"
    assert (await owner.call("PUT", PLAN, {"plan_code": "free"})).status_code == 200
    assert await plan_at_gateways(plane, owner) == "free"
    assert problem(await owner.call("PUT", PLAN, {"plan_code": "gold"})) == (422, "unknown_plan")


@pytest.mark.parametrize("run_first", [False, True])
async def test_a_choice_and_the_billing_run_at_once_end_on_the_plan_that_was_chosen(
    plane: ControlPlane, people: People, seller: LegalEntity, run_first: bool
) -> None:
    owner = await people.owner()
    async with plane.database.write(owner.tenant_id) as session:
        await tenants.change_plan(session, "pro")

    async def billing_run(session: WriteSession) -> None:
        await billing.bill_tenant(session, plane.clock.now())

    async def choice(session: WriteSession) -> None:
        await billing.choose_plan(session, "free", plane.clock.now())

    async def later(work: Callable[[WriteSession], Awaitable[None]]) -> None:
        async with plane.database.write(owner.tenant_id) as session:
            await work(session)

    first, second = (billing_run, choice) if run_first else (choice, billing_run)
    async with plane.database.write(owner.tenant_id) as session:
        await first(session)
        task = asyncio.create_task(later(second))
        _, waiting = await asyncio.wait({task}, timeout=1)
        assert waiting
    await task
    async with plane.database.read(owner.tenant_id) as reading:
        found = await subscriptions.current(reading)
        assert found is not None
        assert (found.plan_code, (await tenants.get_tenant(reading)).plan_code) == ("free", "free")


async def test_a_trial_is_the_plans_own_or_shorter_and_there_is_one(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, trial_days=14)
    try:
        await _try_pro(plane, people)
    finally:
        await publish(plane, "pro", FEE)


async def _try_pro(plane: ControlPlane, people: People) -> None:
    owner, path = await people.owner(), "/api/tenants/{t}/subscriptions"
    longer = await owner.post(path, {"plan_code": "pro", "trial_days": 15})
    assert problem(longer) == (400, "trial_too_long")
    begun = (await owner.post(path, {"plan_code": "pro", "trial_days": 7})).json()
    assert begun["status"] == "trialing"
    length = datetime.fromisoformat(begun["trial_ends_at"]) - datetime.fromisoformat(begun["started_at"])
    assert length == timedelta(days=7)
    assert (await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "now"})).status_code == 200
    assert await balances(plane, owner) == {}, "nothing of a trial is billed"
    assert problem(await owner.post(path, {"plan_code": "pro", "trial_days": 1})) == (400, "trial_too_long")
    assert (await owner.post(path, {"plan_code": "pro"})).json()["status"] == "active"
    assert await plan_at_gateways(plane, owner) == "pro"
