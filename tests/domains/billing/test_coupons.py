"""Coupons on invoices: redeemed once, counted by billing period, taken along by corrections and credits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from omni.domains.billing.contracts import LegalEntity
from omni.domains.billing.documents.cii import factur_x_xml
from omni.domains.billing.documents.pdf import render_pdf
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.service import issuing, subscribing
from omni.domains.billing.service.document import document_of
from omni.domains.ledger.contracts import Account
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import AmountOff, Coupon, Flat, PercentOff, PlanTerms, RateCard
from omni.domains.pricing.service.coupons import add_coupon
from omni.testing.control_plane import ControlPlane
from tests.domains.billing.sales import (
    CALLS,
    FEE,
    NOW,
    advance,
    balances,
    lines,
    publish,
    sandbox_tenant,
    subscribe,
    use,
    verified,
)
from tests.domains.people import People, Person, problem

COUPONS = "/api/tenants/{t}/coupons"
FEBRUARY, MARCH = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
ONE = 10_000_000


async def offer(plane: ControlPlane, percent: str | None = None, amount_minor: int = 0, **members: Any) -> str:
    """The code of a new coupon: a share, or an amount of euros."""
    code = f"C{uuid4().hex[:12].upper()}"
    discount = PercentOff(Decimal(percent)) if percent else AmountOff(amount_minor, members.pop("currency", "EUR"))
    members = {"duration": "forever", **members}
    async with plane.database.shared() as session:
        await add_coupon(session, Coupon(code, "Welcome", discount, **members))
    return code


async def redeem(owner: Person, code: str) -> dict[str, Any]:
    answered = await owner.post(COUPONS, {"code": code})
    assert answered.status_code == 201, answered.text
    found: dict[str, Any] = answered.json()
    return found


async def test_a_coupon_takes_off_what_it_is_for_and_the_books_follow(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, CALLS)
    owner = await sandbox_tenant(plane, people)
    for_api = await offer(plane, "10", products=("api",))
    amount = await offer(plane, amount_minor=500)
    await redeem(owner, amount)
    await redeem(owner, for_api.lower())
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, NOW + timedelta(days=3), requests=1005)
    first, january = await advance(plane, owner, FEBRUARY + timedelta(days=1))
    assert lines(first) == [("fee", "base", 3000), ("discount", f"coupon:{amount}", -500)]
    assert lines(january) == [
        ("usage", "calls", 1005), ("fee", "base", 3000), ("discount", f"coupon:{for_api}", -100),
        ("discount", f"coupon:{amount}", -116), ("discount", f"coupon:{amount}", -384),
    ], "products first; what is left of both pays the amount: 905 and 3000"  # fmt: skip
    assert january.net_minor == 1005 + 3000 - 600
    assert [(tax.base_minor, tax.tax_minor) for tax in january.taxes] == [(3405, 749)]
    assert await balances(plane, owner) == {
        Account.RECEIVABLE: (3050 + 4154) * ONE, Account.TAX: -(550 + 749) * ONE,
        Account.REVENUE: -(2500 + 789) * ONE, Account.DEFERRED: -(3000 - 384) * ONE,
    }, "what is taken off a fee in advance is not deferred"  # fmt: skip
    await verified(plane, owner)
    await redeem(owner, await offer(plane, "100"))
    upcoming = (await owner.get("/api/tenants/{t}/invoices/upcoming")).json()
    assert upcoming["net_minor"] == 0
    assert len(upcoming["coupons"]) == 3


@pytest.mark.parametrize(
    ("duration", "periods", "discounts"),
    [("once", None, [-1000, 0, 0, 0]), ("repeating", 2, [-1000, -1000, 0, 0]), ("forever", None, [-1000] * 4)],
)
async def test_a_coupon_holds_for_so_many_billing_periods(
    plane: ControlPlane, people: People, seller: LegalEntity, duration: str, periods: int | None, discounts: list[int]
) -> None:
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro")
    code = await offer(plane, amount_minor=1000, duration=duration, periods=periods)
    assert (await redeem(owner, code))["holds"]
    months = await advance(plane, owner, datetime(2026, 4, 2, tzinfo=UTC))
    assert [sum(line.net_minor for line in each.lines if line.kind == "discount") for each in months] == discounts
    (told,) = (await owner.get(COUPONS)).json()["data"]
    assert (told["periods"], told["holds"]) == (len([each for each in discounts if each]), duration == "forever")
    await verified(plane, owner)


async def test_a_period_counts_once_and_only_if_something_was_taken_off(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", CALLS)
    await publish(plane, "enterprise", RateCard("base", "support", "Base", "EUR", Flat(28_000_000_000)))
    owner = await sandbox_tenant(plane, people)
    code = await offer(plane, "50", duration="once")
    await redeem(owner, code)
    await subscribe(plane, owner, "pro")
    await advance(plane, owner, FEBRUARY + timedelta(days=1))
    assert (await owner.get(COUPONS)).json()["data"][0]["periods"] == 0, "January came to nothing"
    await owner.post("/api/tenants/{t}/subscription/change", {"plan_code": "enterprise"})
    (changed,) = await advance(plane, owner, FEBRUARY + timedelta(days=2))
    assert lines(changed) == [("fee", "base", 2700), ("discount", f"coupon:{code}", -1350)]
    more = {"plan_code": "enterprise", "seats": 2}
    await owner.post("/api/tenants/{t}/subscription/change", more)
    again, march = await advance(plane, owner, MARCH + timedelta(days=1))
    assert lines(again) == [("credit", "base", -1300), ("fee", "base", 2600), ("discount", f"coupon:{code}", -650)]
    assert lines(march) == [("fee", "base", 2800)], "the second period"
    assert (await owner.get(COUPONS)).json()["data"][0]["periods"] == 1
    await verified(plane, owner)


async def test_what_a_coupon_took_off_a_fee_does_not_come_back_with_it(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, interval="year")
    owner = await sandbox_tenant(plane, people)
    await redeem(owner, await offer(plane, amount_minor=2000, duration="once"))
    await subscribe(plane, owner, "pro")
    await advance(plane, owner, NOW + timedelta(hours=2))
    await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "now"})
    (note,) = await advance(plane, owner, NOW + timedelta(hours=4))
    (credit,) = note.lines
    assert credit.net_minor == -1000, "a third was paid"
    assert note.kind == "credit_note"
    await verified(plane, owner)


async def test_corrections_take_percentages_along_and_leave_amounts(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", CALLS)
    owner, operator = await sandbox_tenant(plane, people), await people.operator()
    share, amount = await offer(plane, "20"), await offer(plane, amount_minor=300)
    for code in (share, amount):
        await redeem(owner, code)
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, NOW + timedelta(days=1), requests=1000)
    january = (await advance(plane, owner, FEBRUARY + timedelta(days=1)))[-1]
    assert january.net_minor == 1000 - 200 - 300
    await redeem(owner, await offer(plane, "100"))  # later: not January's
    await use(plane, owner.tenant_id, NOW + timedelta(days=2), requests=500)
    path = f"/api/operator/tenants/{owner.tenant_id}/invoices/{january.invoice_id}/rerate"
    debit = (await operator.post(path)).json()
    assert [(line["card"], line["net_minor"]) for line in debit["lines"]] == [
        ("calls", 500), (f"coupon:{share}", -100),
    ]  # fmt: skip
    await verified(plane, owner)
    assert (await operator.post(path)).status_code == 204
    voided = await operator.post(path.replace("rerate", "void"))
    assert voided.json()["status"] == "void", voided.text
    (note,) = (await owner.get("/api/tenants/{t}/invoices?limit=1")).json()["data"]
    assert (note["kind"], note["net_minor"]) == ("credit_note", -(1500 - 300 - 300))
    await verified(plane, owner)


async def test_discounts_are_allowances_of_the_document(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    inclusive = {"tax_behaviour": "inclusive"}
    await publish(plane, "pro", FEE, CALLS, **inclusive)
    owner = await sandbox_tenant(plane, people)
    await redeem(owner, await offer(plane, "15"))
    await redeem(owner, await offer(plane, amount_minor=777))
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, NOW + timedelta(days=1), requests=3333)
    first, january = await advance(plane, owner, FEBRUARY + timedelta(days=1))
    assert (first.gross_minor, january.gross_minor) == (3000 - 450 - 777, 6333 - 950 - 777)
    made = document_of(january, None, {})
    assert [allowance.reason for allowance in made.allowances] == ["Welcome", "Welcome"]
    assert made.allowances_minor == -sum(line.net_minor for line in january.lines if line.kind == "discount")
    assert len(made.lines) == 2
    assert b"AllowanceTotalAmount" in factur_x_xml(made)
    assert render_pdf(made).startswith(b"%PDF-")
    await verified(plane, owner)


async def test_on_a_credit_note_a_discount_is_a_line(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    """It lowers what is charged for usage, and so raises what is credited: no allowance."""
    await publish(plane, "pro", FEE, CALLS)
    owner = await sandbox_tenant(plane, people, datetime(2026, 4, 1, tzinfo=UTC))
    await subscribe(plane, owner, "pro")
    (first,) = await advance(plane, owner, datetime(2026, 4, 2, tzinfo=UTC))
    await redeem(owner, await offer(plane, "10", products=("api",)))
    await use(plane, owner.tenant_id, datetime(2026, 4, 2, 1, tzinfo=UTC), requests=500)
    await advance(plane, owner, datetime(2026, 4, 11, tzinfo=UTC))
    await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "now"})
    (note,) = await advance(plane, owner, datetime(2026, 4, 12, tzinfo=UTC))
    assert [line.net_minor for line in note.lines] == [500, -2000, -50]
    made = document_of(note, first, {})
    assert (made.allowances, [line.net_minor for line in made.lines]) == ((), [-500, 2000, 50])
    assert b"<ram:TypeCode>381</ram:TypeCode>" in factur_x_xml(made)
    await verified(plane, owner)


async def test_a_free_invoice_is_final_and_paid(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro")
    code = await offer(plane, "100", duration="once")
    await redeem(owner, code)
    (draft,) = (await owner.get("/api/tenants/{t}/invoices")).json()["data"]
    assert (draft["status"], draft["net_minor"]) == ("draft", 0), "drafts follow at once"
    (first,) = await advance(plane, owner, NOW + timedelta(hours=2))
    assert (first.status, first.gross_minor, first.number is None) == ("paid", 0, False)
    assert document_of(first, None, {}).totals.gross_minor == 0
    await verified(plane, owner)


async def test_two_invoices_at_once_count_a_coupon_once(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    """Two periods that nobody closed in time become final at the same time."""
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro")
    await redeem(owner, await offer(plane, "50", duration="once"))
    async with plane.database.write(owner.tenant_id) as session:
        await subscribing.close_due(session, FEBRUARY)
        drafts = [each.invoice_id for each in await repository.drafts(session)]

    async def finalise(invoice_id: Any) -> int:
        async with plane.database.write(owner.tenant_id) as session:
            return (await issuing.finalise(session, invoice_id, FEBRUARY)).net_minor

    assert sorted(await asyncio.gather(*map(finalise, drafts))) == [1500, 3000]


async def test_an_amount_holds_for_invoices_in_its_currency(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    dollars = RateCard("base", "support", "Base fee", "USD", Flat(30_000_000_000))
    async with plane.database.shared() as session:
        await pricing.publish_plan_version(session, "pro", PlanTerms("USD", (dollars,)), NOW)
    await publish(plane, "pro", FEE)
    owner = await sandbox_tenant(plane, people)
    await redeem(owner, await offer(plane, amount_minor=500))
    share = await offer(plane, "10")
    await redeem(owner, share)
    profile = {"name": "Buyer", "country": "SI", "currency": "USD"}
    assert (await owner.call("PUT", "/api/tenants/{t}/billing-profile", profile)).status_code == 200
    await subscribe(plane, owner, "pro")
    (first,) = await advance(plane, owner, NOW + timedelta(hours=2))
    assert lines(first) == [("fee", "base", 3000), ("discount", f"coupon:{share}", -300)]
    await verified(plane, owner)


async def test_what_cannot_be_redeemed_is_refused_and_leaves_nothing(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner, other = await people.owner(), await people.owner()
    last = await offer(plane, "10", max_redemptions=1)
    expired = await offer(plane, "10", expires_at=plane.clock.now())
    dollars = await offer(plane, amount_minor=100, currency="USD")
    await redeem(owner, last)
    twice = await offer(plane, "10")
    both = await asyncio.gather(*(owner.post(COUPONS, {"code": twice}) for _ in range(2)))
    assert sorted(each.status_code for each in both) == [201, 409], "also at the same time"
    for who, code, refusal in (
        (owner, last, (409, "coupon_already_redeemed")),
        (other, last, (422, "coupon_used_up")),
        (owner, expired, (422, "coupon_expired")),
        (owner, dollars, (422, "coupon_currency")),
        (owner, "NOWHERE", (404, "coupon_not_found")),
    ):
        assert problem(await who.post(COUPONS, {"code": code})) == refusal
    assert {each["coupon"]["code"] for each in (await owner.get(COUPONS)).json()["data"]} == {last, twice}
    assert (await other.get(COUPONS)).json()["data"] == []
