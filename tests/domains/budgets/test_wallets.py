"""Wallets: grants count once, are used up in order, expire, and agree with the books; top-ups are asked for once."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from omni.contracts.money import MoneySnapshot
from omni.contracts.redis_names import money_snapshot
from omni.domains.budgets import facade
from omni.domains.budgets.contracts import Grant, NewGrant
from omni.domains.budgets.rules import settled
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account, Transaction
from omni.domains.metering import facade as metering
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.people import People, Person, problem, stored

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
GRANTS, TOP_UP = "/api/tenants/{t}/wallet/grants", "/api/tenants/{t}/wallet/top-up"


async def spend(plane: ControlPlane, owner: Person, nanos: int) -> None:
    at = plane.clock.now()
    async with plane.system_database.session() as session:
        await metering.ensure_partitions(session, at)
        await metering.record(session, [usage_event(owner.tenant_id, at, requests=1, spend_nanos=nanos)])


async def grant(plane: ControlPlane, owner: Person, amount_nanos: int, **members: Any) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        await facade.add_grant(session, NewGrant(amount_nanos, "test", owner.user_id, **members), plane.clock.now())


async def run(plane: ControlPlane) -> None:
    await facade.run_wallets(plane.database, plane.system_database.session, plane.clock.now())


async def books(plane: ControlPlane, owner: Person) -> dict[Account, int]:
    async with plane.database.read(owner.tenant_id) as session:
        assert await facade.verify_wallet(session) == []
        return {each.account: each.amount_nanos for each in await ledger.balances(session) if each.amount_nanos}


async def credit(plane: ControlPlane, owner: Person) -> int | None:
    """What the gateways know."""
    await plane.run_tasks()
    return MoneySnapshot.from_json(await stored(plane.redis, money_snapshot(owner.tenant_id))).credit_nanos


async def told(owner: Person) -> list[tuple[int, int, int]]:
    """Used, expired and remaining, by grant."""
    found = (await owner.get(GRANTS)).json()["data"]
    return [(each["used_nanos"], each["expired_nanos"], each["remaining_nanos"]) for each in found]


async def test_grants_are_used_in_order_and_what_expires_leaves_the_credit(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    start = plane.clock.now()
    await grant(plane, owner, 1000)
    await grant(plane, owner, 500, source="promotion", priority=1, expires_at=start + 10 * STEP)
    await grant(plane, owner, 200, source="refund", priority=1, expires_at=start + 5 * STEP)
    assert await books(plane, owner) == {
        Account.WALLET: -1700, Account.CASH: 1000, Account.PROMOTION: 500, Account.REVENUE: 200,
    }  # fmt: skip
    await spend(plane, owner, 150)
    assert await told(owner) == [(0, 0, 1000), (0, 0, 500), (150, 0, 50)], "what expires soonest goes first"
    plane.clock.advance(6 * STEP)
    await run(plane)
    await spend(plane, owner, 100)
    assert await told(owner) == [(0, 0, 1000), (100, 0, 400), (150, 50, 0)]
    plane.clock.advance(6 * STEP)
    for _ in range(2):
        await run(plane)
    await spend(plane, owner, 30)
    assert await told(owner) == [(30, 0, 970), (100, 400, 0), (150, 50, 0)]
    assert await credit(plane, owner) == 1700 - 50 - 400
    assert (await owner.get("/api/tenants/{t}/wallet")).json() == {
        "credit_nanos": 1250, "spent_nanos": 280, "remaining_nanos": 970,
    }  # fmt: skip
    assert await books(plane, owner) == {
        Account.WALLET: -1250, Account.CASH: 1000, Account.PROMOTION: 100, Account.REVENUE: 150,
    }, "what is used stays until invoices take it"  # fmt: skip


async def test_a_grant_counts_once_by_its_reference(plane: ControlPlane, people: People) -> None:
    """A recurring grant whose task runs twice, or two workers at once."""
    owner, operator = await people.owner(), await people.operator()
    november = {"source": "promotion", "reference": "monthly 2026-11"}
    await asyncio.gather(*(grant(plane, owner, 100, **november) for _ in range(5)))
    await grant(plane, owner, 100, **{**november, "reference": "monthly 2026-12"})
    assert len((await owner.get(GRANTS)).json()["data"]) == 2
    assert await credit(plane, owner) == 200
    assert await books(plane, owner) == {Account.WALLET: -200, Account.PROMOTION: 200}
    path = f"/api/operator/tenants/{owner.tenant_id}/credits"
    again = {"amount_nanos": 100, "reason": "again", **november}
    assert (await operator.post(path, again)).json()["credit_nanos"] == 200
    for other in ({"amount_nanos": 101}, {"source": "purchase"}):
        assert problem(await operator.post(path, {**again, **other})) == (409, "grant_reference_taken")
    stranger = await people.owner()
    await grant(plane, stranger, 7, **november)
    assert await credit(plane, stranger) == 7, "a reference is the tenant's own"


async def test_what_was_spent_before_a_grant_is_not_taken_off_it_again(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    await grant(plane, owner, 100)
    await spend(plane, owner, 60)
    await grant(plane, owner, 100, source="promotion", priority=1, expires_at=plane.clock.now() + STEP)
    assert await told(owner) == [(60, 0, 40), (0, 0, 100)], "the new one goes first from now on"
    plane.clock.advance(2 * STEP)
    await run(plane)
    assert await told(owner) == [(60, 0, 40), (0, 100, 0)]


async def test_credit_that_is_taken_back_is_used_up(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    await grant(plane, owner, 1000)
    path = f"/api/operator/tenants/{owner.tenant_id}/credits"
    taken = await operator.post(path, {"amount_nanos": -300, "reason": "mistake"})
    assert taken.json()["remaining_nanos"] == 700
    assert await told(owner) == [(300, 0, 700), (0, 0, 0)]
    assert await books(plane, owner) == {Account.WALLET: -700, Account.CASH: 700}


async def test_an_expiry_takes_no_more_than_invoices_have_left(plane: ControlPlane, people: People) -> None:
    """They take tax besides, which is not spending."""
    owner = await people.owner()
    await grant(plane, owner, 1000, source="promotion", expires_at=plane.clock.now() + STEP)
    await spend(plane, owner, 600)
    async with plane.database.write(owner.tenant_id) as session:
        taken = ledger.entries((Account.WALLET, 732), (Account.RECEIVABLE, -732))
        await ledger.post(session, Transaction("EUR", "wallet", "OM-1", plane.clock.now(), taken))
    plane.clock.advance(2 * STEP)
    await run(plane)
    assert await told(owner) == [(600, 400, 0)]
    assert await books(plane, owner) == {Account.PROMOTION: 732, Account.RECEIVABLE: -732}


async def test_bad_grants_are_refused_and_leave_nothing(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    path = f"/api/operator/tenants/{owner.tenant_id}/credits"
    past = {"amount_nanos": 5, "reason": "late", "expires_at": plane.clock.now().isoformat()}
    assert problem(await operator.post(path, past)) == (400, "grant_expired")
    for wrong in ({"amount_nanos": 0}, {"amount_nanos": -5, "expires_at": "2040-01-01T00:00:00Z"}, {"source": "gift"}):
        assert problem(await operator.post(path, {"amount_nanos": 5, "reason": "x", **wrong})) == (
            400, "invalid_request",
        )  # fmt: skip
    assert (await owner.get(GRANTS)).json()["data"] == []
    assert await books(plane, owner) == {}


async def test_a_charge_is_asked_for_once_when_the_wallet_is_low(plane: ControlPlane, people: People) -> None:
    del plane.tasks[facade.TOP_UP]  # nobody charges
    owner = await people.owner()
    setting = {"threshold_nanos": 100, "amount_nanos": 1000}
    assert problem(await owner.get(TOP_UP)) == (404, "top_up_not_found")
    assert problem(await owner.call("PUT", TOP_UP, setting)) == (409, "wallet_missing")
    await grant(plane, owner, 150)
    assert (await owner.call("PUT", TOP_UP, setting)).json()["requested"] is None

    async def asked() -> list[dict[str, Any]]:
        for _ in range(2):
            await run(plane)
        found = [message.args for message in await plane.run_tasks() if message.task == facade.TOP_UP]
        return [each for each in found if each["tenant_id"] == str(owner.tenant_id)]

    assert await asked() == []
    await spend(plane, owner, 51)
    (request,) = await asked()
    assert request["amount_nanos"] == 1000
    assert (await owner.call("PUT", TOP_UP, setting)).json()["requested"] == request["reference"]
    assert await asked() == [], "one at a time"
    for _ in range(2):
        await grant(plane, owner, 1000, reference=request["reference"])
    assert (await owner.get("/api/tenants/{t}/wallet")).json()["remaining_nanos"] == 1099
    await spend(plane, owner, 1000)
    (second,) = await asked()
    assert second["reference"] != request["reference"]
    async with plane.database.write(owner.tenant_id) as session:
        await facade.top_up_failed(session, second["reference"])
    assert await asked() == [], "a charge that failed is not tried again by itself"
    assert (await owner.get(TOP_UP)).json()["paused"] is True
    await owner.call("PUT", TOP_UP, setting)
    assert len(await asked()) == 1
    assert (await owner.call("DELETE", TOP_UP)).status_code == 204
    assert problem(await owner.call("DELETE", TOP_UP)) == (404, "top_up_not_found")


async def test_a_charge_that_nobody_answers_is_asked_for_again_by_its_reference(
    plane: ControlPlane, people: People
) -> None:
    del plane.tasks[facade.TOP_UP]
    owner = await people.owner()
    await grant(plane, owner, 10)
    await owner.call("PUT", TOP_UP, {"threshold_nanos": 100, "amount_nanos": 1000})
    found = []
    for _ in range(3):
        await run(plane)
        plane.clock.advance(timedelta(minutes=59))
        await run(plane)
        plane.clock.advance(timedelta(minutes=2))
        found += [
            (message.args["reference"], message.args["amount_nanos"])
            for message in await plane.run_tasks()
            if message.task == facade.TOP_UP and message.args["tenant_id"] == str(owner.tenant_id)
        ]
    assert len(found) == 3
    assert len(set(found)) == 1
    await grant(plane, owner, 1000, reference=found[0][0])
    plane.clock.advance(timedelta(hours=2))
    await run(plane)
    asked = [message.args["tenant_id"] for message in await plane.run_tasks() if message.task == facade.TOP_UP]
    assert str(owner.tenant_id) not in asked


def test_grants_always_add_up_to_what_is_left() -> None:
    """Whatever is granted, spent, taken back and expires, at whatever times anybody looks."""
    chance = random.Random(7)
    for _ in range(500):
        now, spent, grants = NOW, 0, list[Grant]()
        for _ in range(chance.randrange(1, 12)):
            now += timedelta(hours=chance.randrange(1, 40))
            spent += chance.choice((0, chance.randrange(200)))
            if chance.random() < 0.6:
                grants = settled(grants, spent, now)
                expires_at = chance.choice((None, now + timedelta(hours=chance.randrange(1, 60))))
                amount = chance.choice((chance.randrange(1, 300), -chance.randrange(1, 50)))
                grants.append(
                    Grant(UUID(int=chance.getrandbits(128)), amount, "", "purchase", chance.randrange(3), now,
                          expires_at if amount > 0 else None, None)
                )  # fmt: skip
            if chance.random() < 0.5:
                grants = settled(grants, spent, now)
        done = settled(grants, spent, now)
        assert settled(done, spent, now) == done, "settling again changes nothing"
        credit = sum(each.amount_nanos - each.expired_nanos for each in done)
        uncovered = spent - sum(min(0, each.amount_nanos) for each in done) - sum(each.used_nanos for each in done)
        assert credit - spent == sum(each.remaining_nanos for each in done) - uncovered
        assert uncovered >= 0
        usable = [each for each in done if each.remaining_nanos and (each.expires_at or now + STEP) > now]
        assert not (uncovered and usable), "nothing waits while there is credit"


def test_what_is_used_by_the_instant_of_expiry_does_not_expire() -> None:
    grant = Grant(uuid4(), 10, "", "purchase", 1, NOW, NOW + STEP, None)
    assert [(each.used_nanos, each.expired_nanos) for each in settled([grant], 4, NOW + STEP)] == [(4, 6)]
    assert [(each.used_nanos, each.expired_nanos) for each in settled([grant], 4, NOW + STEP / 2)] == [(4, 0)]
