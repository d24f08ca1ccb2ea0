"""Invoices are paid: by saved methods of their own accord, by tenants, back and forth; and the books follow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import Invoice, LegalEntity
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.service import subscribing
from omni.domains.budgets import facade as budgets
from omni.domains.ledger.contracts import Account
from omni.testing.control_plane import ControlPlane
from omni.testing.payments import Behaviour
from tests.domains.billing.sales import FEE, balances, publish, verified
from tests.domains.people import People, Person, problem

ONE = 10**7


async def save_method(plane: ControlPlane, owner: Person, behaviour: Behaviour = "pays") -> str:
    path = "/api/tenants/{t}/payment-methods"
    setup = await owner.post(f"{path}/setup", {"provider": "stripe", "return_url": "https://console.example"})
    session_id = setup.json()["session_id"]
    plane.payments.complete(session_id, behaviour)
    return str((await owner.post(path, {"provider": "stripe", "session_id": session_id})).json()["id"])


async def owing(plane: ControlPlane, people: People) -> Person:
    """A tenant in real time that has just been put on a plan with a fee."""
    await publish(plane, "pro", FEE, anchor="anniversary")
    owner = await people.owner()
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.start(session, "pro", plane.clock.now() - timedelta(hours=2))
    return owner


async def bill(plane: ControlPlane, owner: Person) -> Invoice:
    """Makes the invoice final and does what follows from it."""
    async with plane.database.write(owner.tenant_id) as session:
        await billing.bill_tenant(session, plane.clock.now())
    await settle(plane)
    return await newest(plane, owner)


async def settle(plane: ControlPlane) -> None:
    while await plane.run_tasks():
        pass


async def newest(plane: ControlPlane, owner: Person) -> Invoice:
    async with plane.database.read(owner.tenant_id) as session:
        return (await repository.list_newest(session, None, 9))[0]


async def test_a_final_invoice_is_charged_to_the_saved_method(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await owing(plane, people)
    await save_method(plane, owner)
    invoice = await bill(plane, owner)
    assert (invoice.status, invoice.paid_minor, invoice.due_minor) == ("paid", 3660, 0)
    assert await balances(plane, owner) == {
        Account.CASH: 3660 * ONE, Account.TAX: -660 * ONE, Account.DEFERRED: -3000 * ONE,
    }  # fmt: skip
    await verified(plane, owner)
    for message in [each for each in plane.delivered if each.task.startswith("billing.")]:
        await plane.run_one(message)
    await settle(plane)
    assert (await newest(plane, owner)).paid_minor == 3660
    assert len((await owner.get("/api/tenants/{t}/payments")).json()["data"]) == 1
    await verified(plane, owner)


async def test_without_a_method_the_tenant_pays_and_what_was_paid_can_be_given_back(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner, operator = await owing(plane, people), await people.operator()
    invoice = await bill(plane, owner)
    assert (invoice.status, invoice.due_minor) == ("final", 3660)
    method = await save_method(plane, owner)
    path = f"/api/tenants/{{t}}/invoices/{invoice.invoice_id}/pay"
    begun = await owner.post(path, {"provider": "stripe", "method_id": method})
    assert (begun.status_code, begun.json()["amount_minor"]) == (202, 3660), begun.text
    await settle(plane)
    assert (await newest(plane, owner)).status == "paid"
    assert problem(await owner.post(path, {"provider": "stripe", "method_id": method})) == (409, "invoice_state")
    refunds = f"/api/operator/tenants/{owner.tenant_id}/payments/{begun.json()['payment_id']}/refunds"
    asked = await operator.post(refunds, {"amount_minor": 1000, "reason": "goodwill"})
    assert asked.status_code < 300, asked.text
    await settle(plane)
    found = await balances(plane, owner)
    assert (found[Account.CASH], found[Account.WALLET]) == (2660 * ONE, 1000 * ONE)
    await verified(plane, owner)


async def test_a_declined_method_leaves_the_invoice_and_the_next_reminder_tries_again(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await owing(plane, people)
    await save_method(plane, owner, "declines")
    invoice = await bill(plane, owner)
    assert (invoice.status, invoice.paid_minor) == ("final", 0)
    plane.clock.advance(timedelta(seconds=1))
    await save_method(plane, owner)
    assert invoice.due_at is not None
    async with plane.database.write(owner.tenant_id) as session:
        await billing.bill_tenant(session, invoice.due_at + timedelta(days=2))
    await settle(plane)
    again = await newest(plane, owner)
    statuses = [each["status"] for each in (await owner.get("/api/tenants/{t}/payments")).json()["data"]]
    assert sorted(statuses) == ["failed", "succeeded"]
    assert again.status == "paid"
    found = (await owner.get("/api/tenants/{t}/subscriptions")).json()["data"]
    assert found[0]["status"] == "active", "nothing is overdue any more"


@pytest.mark.parametrize("provider", ["nowhere", "paypal"])
async def test_a_way_to_pay_that_is_off_says_so(
    plane: ControlPlane, people: People, seller: LegalEntity, provider: str
) -> None:
    owner = await owing(plane, people)
    invoice = await bill(plane, owner)
    answer = await owner.post(f"/api/tenants/{{t}}/invoices/{invoice.invoice_id}/pay", {"provider": provider})
    assert answer.status_code in (404, 422, 501)
    assert (await owner.get("/api/tenants/{t}/payments")).json()["data"] == []


async def test_a_wallet_is_topped_up_from_the_saved_method_and_pauses_without_one(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner, operator = await people.owner(), await people.operator()
    credit = {"amount_nanos": 5 * 10**9, "reason": "welcome"}
    assert (await operator.post(f"/api/operator/tenants/{owner.tenant_id}/credits", credit)).status_code == 201
    path, setting = "/api/tenants/{t}/wallet/top-up", {"threshold_nanos": 10**10, "amount_nanos": 2 * 10**10}

    async def topped_up() -> dict[str, Any]:
        assert (await owner.call("PUT", path, setting)).status_code == 200
        await budgets.run_wallets(plane.database, plane.system_database.session, plane.clock.now())
        await settle(plane)
        return cast(dict[str, Any], (await owner.get(path)).json())

    assert (await topped_up())["paused"], "there is nothing to charge"
    await save_method(plane, owner)
    found = await topped_up()
    assert (found["paused"], found["requested"]) == (False, None)
    assert (await owner.get("/api/tenants/{t}/wallet")).json()["credit_nanos"] == 25 * 10**9
    for message in [each for each in plane.delivered if each.task in ("billing.top_up", "billing.book_payment")]:
        await plane.run_one(message)
    await settle(plane)
    assert (await owner.get("/api/tenants/{t}/wallet")).json()["credit_nanos"] == 25 * 10**9
    assert (await balances(plane, owner))[Account.CASH] >= 20 * 10**9
    await verified(plane, owner)
