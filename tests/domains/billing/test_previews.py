"""Invoices that are not yet: the running period, and a real month on other terms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import event, text

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import LegalEntity
from omni.domains.metering import facade as metering
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import Flat, PerUnit, RateCard, UnitPrice
from omni.domains.pricing.rules.list_prices import price_at
from omni.domains.tenants import facade as tenants
from omni.kit.clock import month_start, next_month
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.billing.sales import (
    CALLS,
    FEE,
    NOW,
    SEATS,
    SETUP,
    TOKENS,
    advance,
    publish,
    sandbox_tenant,
    subscribe,
    use,
)
from tests.domains.people import People, Person, problem

UPCOMING, SIMULATE = "/api/tenants/{t}/invoices/upcoming", "/api/tenants/{t}/simulate"
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
CHEAP_CALLS = RateCard("calls", "api", "Requests", "EUR", PerUnit(UnitPrice(4_000_000)), meter="requests")
ARREARS = RateCard("care", "support", "Care", "EUR", Flat(31_000_000_000, "in_arrears"))


def told(lines: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(line["kind"], line["card"], line["net_minor"]) for line in lines]


def operator_path(owner: Person) -> str:
    return f"/api/operator/tenants/{owner.tenant_id}/simulate"


async def test_the_running_period_is_known_before_it_ends(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, SEATS, SETUP, CALLS, TOKENS, ARREARS)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro", seats=2)
    await advance(plane, owner, NOW + timedelta(days=10))
    await use(plane, owner.tenant_id, NOW + timedelta(days=3), requests=7, input_tokens=1500)
    await use(plane, owner.tenant_id, NOW + timedelta(days=11), requests=100)  # is not yet
    before = (await owner.get("/api/tenants/{t}/invoices")).json()
    upcoming = (await owner.get(UPCOMING)).json()
    assert told(upcoming["lines"]) == [
        ("usage", "calls", 7), ("usage", "tokens", 125), ("usage", "care", 1000), ("fee", "base", 3000),
        ("fee", "seats", 2000),
    ], "ten days of 31 of the fee in arrears; no second set-up fee"  # fmt: skip
    assert (upcoming["net_minor"], upcoming["tax_minor"], upcoming["gross_minor"]) == (6132, 1349, 7481)
    assert (upcoming["period_start"], upcoming["period_end"]) == ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z")
    assert (await owner.get("/api/tenants/{t}/invoices")).json() == before, "nothing is stored"
    await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "period_end"})
    assert told((await owner.get(UPCOMING)).json()["lines"])[-1] == ("usage", "care", 1000)
    (*_, january) = await advance(plane, owner, FEBRUARY + timedelta(days=1))
    assert [line.net_minor for line in january.lines] == [107, 125, 3100]
    assert problem(await owner.get(UPCOMING)) == (404, "subscription_not_found")


async def test_the_next_plan_is_in_what_comes(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    await publish(plane, "pro", FEE)
    await publish(plane, "enterprise", RateCard("base", "support", "Base fee", "EUR", Flat(90_000_000_000)), SETUP)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro", trial_days=10)
    assert told((await owner.get(UPCOMING)).json()["lines"]) == [("fee", "base", 2032)], "21 of 31 days"
    later = {"plan_code": "enterprise", "when": "period_end"}
    assert (await owner.post("/api/tenants/{t}/subscription/change", later)).status_code == 200
    assert told((await owner.get(UPCOMING)).json()["lines"]) == [("fee", "base", 6097), ("fee", "setup", 5000)]
    assert (await owner.get("/api/tenants/{t}")).json()["plan_code"] == "pro", "a preview changes no plan"


async def test_a_preview_asks_few_questions(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    """Not one for each of the price list's meters."""
    async with plane.database.shared() as session:
        await pricing.seed_prices(session)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "free")
    await advance(plane, owner, NOW + timedelta(days=10))
    await use(plane, owner.tenant_id, NOW + timedelta(days=3), requests=7, input_tokens=1500)
    asked: list[str] = []
    engine = plane.database._engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        upcoming = (await owner.get(UPCOMING)).json()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert upcoming["net_minor"] == 0
    assert {(line["meter"], line["quantity"], line["events"]) for line in upcoming["lines"]} == {
        ("requests", "7.000000000000", 1), ("input_tokens", "1500.000000000000", 1),
    }  # fmt: skip
    assert len(asked) <= 16, asked


async def test_a_real_month_is_priced_on_another_plan(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    await publish(plane, "pro", FEE, SEATS, SETUP, CALLS)
    await publish(plane, "enterprise", RateCard("base", "support", "Base", "EUR", Flat(90_000_000_000)), CHEAP_CALLS)
    owner, operator = await sandbox_tenant(plane, people), await people.operator()
    await subscribe(plane, owner, "pro", seats=2)
    await use(plane, owner.tenant_id, NOW + timedelta(days=3), requests=10_000)
    await advance(plane, owner, FEBRUARY + timedelta(days=1))
    count = len((await owner.get("/api/tenants/{t}/invoices")).json()["data"])
    found = (await owner.post(SIMULATE, {"plan_code": "enterprise", "month": "2026-01"})).json()
    assert told(found["simulated"]["lines"]) == [("usage", "calls", 4000), ("fee", "base", 9000)]
    assert told(found["actual"]["lines"]) == [("usage", "calls", 10_000), ("fee", "base", 3000), ("fee", "seats", 2000)]
    assert (found["difference_net_minor"], found["difference_gross_minor"]) == (-2000, -2440)
    terms = {"currency": "EUR", "rate_cards": [
        {"code": "seats", "product": "support", "name": "Seats", "currency": "EUR",
         "price": {"kind": "seat", "price_nanos": 1_000_000_000}},
    ]}  # fmt: skip
    third = {"start": "2026-01-11T00:00:00Z", "end": "2026-01-21T00:00:00Z", "terms": terms, "seats": 31}
    inline = (await operator.post(operator_path(owner), third)).json()
    assert told(inline["simulated"]["lines"]) == [("fee", "seats", 1000)], "ten of 31 days"
    assert told(inline["actual"]["lines"]) == [("fee", "base", 968), ("fee", "seats", 645)]
    running = (await owner.post(SIMULATE, {"plan_code": "pro", "month": "2026-02", "seats": 3})).json()
    assert running["difference_net_minor"] == 1000, "a month that is not over: fees in full, usage so far"
    assert len((await owner.get("/api/tenants/{t}/invoices")).json()["data"]) == count, "nothing is written"


async def test_what_a_month_came_to_follows_the_plans_it_was_on(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE, CALLS)
    await publish(plane, "enterprise", RateCard("base", "support", "Base", "EUR", Flat(90_000_000_000)), CHEAP_CALLS)
    owner = await sandbox_tenant(plane, people, datetime(2026, 4, 1, tzinfo=UTC))
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, datetime(2026, 4, 5, tzinfo=UTC), requests=100)
    await advance(plane, owner, datetime(2026, 4, 21, tzinfo=UTC))
    await owner.post("/api/tenants/{t}/subscription/change", {"plan_code": "enterprise"})
    await use(plane, owner.tenant_id, datetime(2026, 4, 25, tzinfo=UTC), requests=100)
    await advance(plane, owner, datetime(2026, 4, 28, tzinfo=UTC))
    found = (await owner.post(SIMULATE, {"plan_code": "enterprise", "month": "2026-04"})).json()
    assert found["simulated"]["net_minor"] == 9000 + 80
    assert found["actual"]["net_minor"] == 3000 - 1000 + 3000 + 100 + 40
    before_it_came = {"plan_code": "enterprise", "month": "2026-03"}
    assert problem(await owner.post(SIMULATE, before_it_came)) == (400, "period_empty")


async def test_a_simulation_refuses_what_it_cannot_price(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    await publish(plane, "pro", FEE)
    owner, operator = await sandbox_tenant(plane, people), await people.operator()
    month = {"month": "2026-01"}
    path = operator_path(owner)
    assert problem(await owner.post(SIMULATE, {"plan_code": "nowhere", **month})) == (422, "unknown_plan")
    version = {"plan_code": "pro", "version": 99, **month}
    assert problem(await owner.post(SIMULATE, version)) == (404, "plan_version_not_found")
    dollars = {"terms": {"currency": "USD", "rate_cards": []}, **month}
    assert problem(await operator.post(path, dollars)) == (400, "wrong_currency")
    card = {"code": "x", "product": "api", "name": "X", "currency": "EUR", "meter": "nothing",
            "price": {"kind": "per_unit", "price": {"price_nanos": 1}}}  # fmt: skip
    assert problem(await operator.post(path, {"terms": {"currency": "EUR", "rate_cards": [card]}, **month})) == (
        400, "unknown_meter",
    )  # fmt: skip
    long = {"plan_code": "pro", "start": "2026-01-01T00:00:00Z", "end": "2028-01-01T00:00:00Z"}
    assert problem(await owner.post(SIMULATE, long)) == (400, "period_too_long")
    assert (await owner.post(SIMULATE, {"plan_code": "pro"})).status_code == 400
    assert (await operator.post(path, {"plan_code": "pro", "terms": dollars["terms"], **month})).status_code == 400
    assert (await owner.post(SIMULATE, dollars)).status_code == 400, "terms are the operator's to give"
    nobody = path.replace(str(owner.tenant_id), "00000000-0000-7000-8000-000000000000")
    assert problem(await operator.post(nobody, {"plan_code": "pro", **month})) == (404, "tenant_not_found")


async def test_without_a_subscription_it_is_what_the_billing_run_makes(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    """On the plan's newest version since sign-up, or since the period began; then the same with a subscription."""
    await publish(plane, "pro", FEE, CALLS)
    owner = await people.owner()
    async with plane.database.write(owner.tenant_id) as session:
        await tenants.change_plan(session, "pro")
        since = (await tenants.get_tenant(session)).created_at
    await use_live(plane, owner, plane.clock.now(), requests=1234)
    plane.clock.advance(timedelta(seconds=1))
    before = (await owner.get(UPCOMING)).json()
    assert before["subscription_id"] is None
    assert datetime.fromisoformat(before["period_start"]) == since
    assert told(before["lines"]) == [("usage", "calls", 1234), ("fee", "base", 3000)]
    async with plane.database.write(owner.tenant_id) as session:
        await billing.bill_tenant(session, plane.clock.now())
    after = (await owner.get(UPCOMING)).json()
    assert after.pop("subscription_id") == (await owner.get("/api/tenants/{t}/subscriptions")).json()["data"][0]["id"]
    assert {**before, "subscription_id": None} == {**after, "subscription_id": None}
    await owner.post("/api/tenants/{t}/subscription/cancel", {"when": "now"})
    assert problem(await owner.get(UPCOMING)) == (404, "subscription_not_found"), "nothing comes after the end"


async def test_a_later_period_begins_with_the_calendars(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    owner = await people.owner()
    async with plane.database.read(owner.tenant_id) as session:
        later = next_month(plane.clock.now()) + timedelta(days=3)
        found = (await billing.upcoming_invoice(session, later)).invoice
    assert (found.period_start, found.period_end) == (month_start(later), later)


async def test_by_the_price_list_the_lines_equal_the_events(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    """The lines equal the events at list prices, meter by meter, to the cent."""
    owner = await people.owner()
    async with plane.database.shared() as session:
        await pricing.seed_prices(session)
        prices = await pricing.list_prices(session, "EUR")
    moment = plane.clock.now()
    used = [{"pages": 3, "requests": 1}, {"input_tokens": 70_001, "requests": 1}, {"pages": 997, "requests": 1}]
    for quantities in used:
        await use_live(plane, owner, moment, **quantities)
    async with plane.system_database.session() as session:
        await metering.record(session, [usage_event(owner.tenant_id, moment, "test", pages=500_000)])
    plane.clock.advance(timedelta(seconds=1))
    upcoming = (await owner.get(UPCOMING)).json()
    expected = {}
    for meter in ("pages", "requests", "input_tokens"):
        price = price_at(prices, meter, moment)
        assert price is not None
        quantity = sum(each.get(meter, 0) for each in used)
        cents = Fraction(quantity * price.price_nanos, price.per_quantity * 10**7)
        expected[meter] = (quantity, sum(meter in each for each in used), round(cents))
    found = {
        each["meter"]: (int(Decimal(each["quantity"])), each["events"], each["net_minor"]) for each in upcoming["lines"]
    }
    assert found == expected, "usage of test keys is free"
    assert upcoming["net_minor"] == sum(cents for _, _, cents in expected.values()) > 0
    assert (upcoming["unpriced"], upcoming["coupons"]) == ([], [])


async def test_what_is_used_without_a_price_is_named(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    await publish(plane, "pro", CALLS)
    owner = await sandbox_tenant(plane, people)
    await subscribe(plane, owner, "pro")
    await use(plane, owner.tenant_id, NOW + timedelta(days=3), requests=7, pages=5)
    await advance(plane, owner, NOW + timedelta(days=10))
    upcoming = (await owner.get(UPCOMING)).json()
    assert (told(upcoming["lines"]), upcoming["unpriced"]) == ([("usage", "calls", 7)], ["pages"])


async def test_while_nobody_sells_it_is_without_tax(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    async with plane.database.shared() as session:
        await pricing.seed_prices(session)
    owner = await people.owner()
    await use_live(plane, owner, plane.clock.now(), pages=1000)
    plane.clock.advance(timedelta(seconds=1))
    taxed = (await owner.get(UPCOMING)).json()
    default = text("update legal_entities set is_default = :yes where code = :code")
    async with plane.database.shared() as session:
        await session.execute(default, {"yes": False, "code": seller.code})
    try:
        untaxed = (await owner.get(UPCOMING)).json()
        begun = await owner.post("/api/tenants/{t}/subscriptions", {"plan_code": "free"})
    finally:
        async with plane.database.shared() as session:
            await session.execute(default, {"yes": True, "code": seller.code})
    assert problem(begun) == (501, "seller_missing")
    assert (taxed["net_minor"], taxed["tax_minor"]) == (untaxed["net_minor"], taxed["net_minor"] * 22 // 100)
    assert (untaxed["tax_minor"], untaxed["taxes"]) == (0, [])
    assert untaxed["gross_minor"] == untaxed["net_minor"] > 0


async def use_live(plane: ControlPlane, owner: Person, moment: datetime, **quantities: int) -> None:
    async with plane.system_database.session() as session:
        await metering.ensure_partitions(session, datetime.now(UTC))
        await metering.record(session, [usage_event(owner.tenant_id, moment, "live", **quantities)])
