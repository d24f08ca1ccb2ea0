"""The price book's API: products, plan versions, coupons, tax rates, the calculator."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from omni.domains.metering import service as metering
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import PlanTerms, TaxBuyer, TaxSeller
from omni.domains.pricing.routes.calculator import exact_text
from omni.foundation.db.roles import DatabaseAddress
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.kit.errors import OmniError
from tests.domains.people import People, Person, problem

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PRO = "/api/operator/plans/pro/versions"


@pytest.fixture(autouse=True)
async def book(system_database: SystemDatabase) -> None:
    async with system_database.session() as session:
        await metering.seed_meters(session)
        await pricing.seed_prices(session)


@pytest.fixture
async def operator(people: People) -> Person:
    return await people.operator()


def rate_card(**changes: Any) -> dict[str, Any]:
    price = {"kind": "per_unit", "price": {"price_nanos": 100}}
    given = {"code": "tokens", "product": "usage", "name": "Tokens", "currency": "USD", "meter": "input_tokens"}
    return {**given, "price": price, **changes}


def terms(*cards: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"currency": "USD", "rate_cards": list(cards), **changes}


def fee(nanos: int, **changes: Any) -> dict[str, Any]:
    return rate_card(code="fee", name="Fee", meter=None, price={"kind": "flat", "price_nanos": nanos, **changes})


def tiers(*bounds: str | None) -> dict[str, Any]:
    return {"kind": "graduated", "tiers": [{"up_to": bound, "price": {"price_nanos": 1}} for bound in bounds]}


async def test_products_are_added_and_replaced(operator: Person) -> None:
    path = f"/api/operator/products/p{uuid4().hex}"
    made = await operator.call("PUT", path, {"name": "Training"})
    assert (made.status_code, made.json()["tax_code"]) == (200, "standard")
    await operator.call("PUT", path, {"name": "Training", "tax_code": "reduced_1"})
    listed = (await operator.get("/api/operator/products")).json()["data"]
    codes = {product["code"]: product["tax_code"] for product in listed}
    assert codes[path.rpartition("/")[2]] == "reduced_1"
    assert codes["usage"] == "standard"


async def test_versions_count_and_the_newest_is_found(operator: Person, database: Database) -> None:
    first = (await operator.post(PRO, terms(rate_card()))).json()
    second = (await operator.post(PRO, terms(fee(99 * 10**9), rate_card(), trial_days=14, interval="year"))).json()
    assert second["version"] == first["version"] + 1
    listed = (await operator.get(PRO)).json()["data"]
    mine = [found for found in listed if found["terms"]["currency"] == "USD"]
    assert [found for found in mine if found["version"] == second["version"]] == [second]
    async with database.shared() as session:
        newest = await pricing.plan_version(session, "pro", None, "USD")
        older = await pricing.plan_version(session, "pro", first["version"], "USD")
        assert await pricing.plan_version(session, "pro", None, "NOK") is None
    assert newest is not None
    assert older is not None
    assert (newest.version, newest.terms.trial_days, newest.terms.interval) == (second["version"], 14, "year")
    assert [card.code for card in newest.terms.rate_cards] == ["fee", "tokens"]
    assert older.terms == PlanTerms("USD", (pricing.card_from_json(rate_card()),))


async def test_versions_that_are_published_at_once_get_numbers_of_their_own(database: Database) -> None:
    wanted = PlanTerms("CHF", ())

    async def publish() -> int:
        async with database.shared() as session:
            return (await pricing.publish_plan_version(session, "pro", wanted, NOW)).version

    numbers = await asyncio.gather(*(publish() for _ in range(8)))
    assert sorted(numbers) == list(range(min(numbers), min(numbers) + 8))


@pytest.mark.parametrize("change", ["update plan_versions set trial_days = 1", "delete from plan_versions"])
async def test_a_published_version_cannot_be_changed_by_anyone(
    database: Database, database_address: DatabaseAddress, change: str
) -> None:
    async with database.shared() as session:
        await pricing.publish_plan_version(session, "pro", PlanTerms("GBP", ()), NOW)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.shared() as session:
            await session.execute(text(change))
    engine = create_async_engine(database_address.url(), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            with pytest.raises(DBAPIError, match="a published plan version cannot be changed"):
                await connection.execute(text(change))
    finally:
        await engine.dispose()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (terms(rate_card(price=tiers("10", "5", None))), 400, "invalid_tiers"),
        (terms(rate_card(price=tiers("10", "20"))), 400, "invalid_tiers"),
        (terms(rate_card(currency="EUR")), 400, "wrong_currency"),
        (terms(rate_card(currency="XXX"), currency="XXX"), 400, "unknown_currency"),
        (terms(rate_card(meter="nonsense")), 400, "unknown_meter"),
        (terms(rate_card(product="nonsense")), 400, "unknown_product"),
        (terms(rate_card(), rate_card()), 400, "rate_card_twice"),
        (terms(rate_card(price={"kind": "per_unit", "price": {"price_nanos": -1}})), 400, "invalid_request"),
        (terms(rate_card(price={"kind": "percentage", "percent": 2.9})), 400, "invalid_request"),
        (terms(rate_card(included_units=0.5)), 400, "invalid_request"),
        (terms(rate_card(), interval="week"), 400, "invalid_request"),
        (terms(rate_card(), colour="red"), 400, "invalid_request"),
    ],
)
async def test_wrong_terms_are_refused_and_leave_nothing(
    operator: Person, body: dict[str, Any], status: int, code: str
) -> None:
    before = (await operator.get(PRO)).json()
    assert problem(await operator.post(PRO, body)) == (status, code)
    assert (await operator.get(PRO)).json() == before


async def test_a_plan_that_is_none_is_refused(operator: Person) -> None:
    path = "/api/operator/plans/nonsense/versions"
    assert problem(await operator.post(path, terms())) == (422, "unknown_plan")
    assert problem(await operator.get(path)) == (422, "unknown_plan")


async def test_the_calculator_rates_a_card_step_by_step(operator: Person) -> None:
    card = rate_card(included_units="10", price={**tiers("100", None)})
    card["price"]["tiers"][0] = {
        "up_to": "100",
        "price": {"price_nanos": 10**7, "per_quantity": 3},
        "flat_nanos": 10**9,
    }
    usage = [{"card": "tokens", "quantities": [{"quantity": "11", "events": 2}]}]
    answer = await operator.post("/api/price-book/rate", {"rate_card": card, "usage": usage})
    assert answer.status_code == 200
    (line,) = answer.json()["lines"]
    assert (line["quantity"], line["included"], line["events"]) == ("11", "10", 2)
    assert (line["amount"], line["amount_minor"], answer.json()["total_minor"]) == ("301/300", 100, 100)
    assert [(step["kind"], step["amount"], step["up_to"]) for step in line["steps"]] == [
        ("included", "0", None), ("tier", "1/300", "100"), ("tier_flat", "1", "100"),
    ]  # fmt: skip


async def test_the_calculator_rates_a_version_of_a_plan(operator: Person) -> None:
    once = {**fee(5 * 10**9, recurring=False), "code": "set-up"}
    made = await operator.post(PRO, terms(fee(2 * 10**9), once, rate_card(), minimum_commitment_minor=12_000))
    plan = {"code": "pro", "currency": "USD", "version": made.json()["version"]}
    usage = [{"card": "tokens", "quantities": [{"quantity": "1000000000"}]}]
    answer = (await operator.post("/api/price-book/rate", {"plan": plan, "usage": usage})).json()
    assert [(line["card"], line["amount_minor"]) for line in answer["lines"]] == [
        ("fee", 200), ("set-up", 500), ("tokens", 10_000), ("minimum_commitment", 1_800),
    ]  # fmt: skip
    assert (answer["total_minor"], answer["currency"]) == (12_500, "USD")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid_request")),
        ({"rate_card": rate_card(), "plan": {"code": "pro", "currency": "USD"}}, (400, "invalid_request")),
        ({"rate_card": rate_card(), "usage": [{"card": "tokens"}, {"card": "tokens"}]}, (400, "invalid_request")),
        ({"rate_card": rate_card(), "usage": [{"card": "other"}]}, (400, "unknown_rate_card")),
        ({"rate_card": rate_card(meter="nonsense")}, (400, "unknown_meter")),
        ({"rate_card": rate_card(), "usage": [{"card": "tokens", "quantities": [{"quantity": "-1"}]}]},
         (400, "invalid_request")),
        ({"rate_card": rate_card(), "usage": [{"card": "tokens", "quantities": [{"quantity": "NaN"}]}]},
         (400, "invalid_request")),
        ({"rate_card": rate_card(), "usage": [{"card": "tokens", "transactions": [{"value": "1"}]}]},
         (400, "wrong_kind_of_usage")),
        ({"plan": {"code": "pro", "currency": "USD", "version": 2**31 - 1}}, (404, "plan_version_not_found")),
        ({"plan": {"code": "pro", "currency": "KWD"}}, (404, "plan_version_not_found")),
    ],
)  # fmt: skip
async def test_the_calculator_refuses(operator: Person, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert problem(await operator.post("/api/price-book/rate", body)) == expected


async def test_only_operators_calculate(people: People) -> None:
    answer = await (await people.owner()).post("/api/price-book/rate", {"rate_card": rate_card()})
    assert problem(answer) == (403, "operator_required")


def coupon(**changes: Any) -> dict[str, Any]:
    discount = {"kind": "percent_off", "percent": "20"}
    return {
        "code": f"C{uuid4().hex[:12].upper()}",
        "name": "Welcome",
        "discount": discount,
        "duration": "once",
        **changes,
    }


async def test_coupons_are_added_once(operator: Person) -> None:
    new = coupon(products=["usage"], max_redemptions=5)
    made = await operator.post("/api/operator/coupons", new)
    assert (made.status_code, made.json()["redemptions"]) == (201, 0)
    assert problem(await operator.post("/api/operator/coupons", new)) == (409, "coupon_exists")
    listed = (await operator.get("/api/operator/coupons")).json()["data"]
    assert [each for each in listed if each["coupon"]["code"] == new["code"]] == [made.json()]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"duration": "repeating"}, "invalid_coupon"),
        ({"products": ["nonsense"]}, "unknown_product"),
        ({"discount": {"kind": "amount_off", "amount_minor": 5, "currency": "XXX"}}, "unknown_currency"),
        ({"discount": {"kind": "percent_off", "percent": "101"}}, "invalid_request"),
        ({"code": "lower case"}, "invalid_request"),
        ({"expires_at": "2027-01-01T00:00:00"}, "invalid_request"),
    ],
)
async def test_wrong_coupons_are_refused(operator: Person, changes: dict[str, Any], code: str) -> None:
    assert problem(await operator.post("/api/operator/coupons", coupon(**changes))) == (400, code)


async def test_a_coupon_is_redeemed_as_often_as_it_may_be_and_once_by_each(
    operator: Person, database: Database
) -> None:
    new = coupon(max_redemptions=3)
    await operator.post("/api/operator/coupons", new)

    async def redeem(*held: str) -> str:
        try:
            async with database.shared() as session:
                return (await pricing.redeem_coupon(session, new["code"], NOW, held, "USD")).code
        except OmniError as error:
            return error.code

    assert await redeem(new["code"]) == "coupon_already_redeemed"
    results = await asyncio.gather(*(redeem() for _ in range(8)))
    assert sorted(results) == sorted([new["code"]] * 3 + ["coupon_used_up"] * 5)
    async with database.shared() as session:
        found = await pricing.coupon_of(session, new["code"])
        assert await pricing.coupon_of(session, "NONE") is None
        (stored,) = [each for each in await pricing.list_coupons(session) if each.coupon == found]
        with pytest.raises(OmniError) as missing:
            await pricing.redeem_coupon(session, "NONE", NOW, (), "USD")
    assert missing.value.code == "coupon_not_found"
    assert stored.redemptions == 3


async def test_an_operators_tax_rates_go_before_the_built_in_ones(operator: Person, database: Database) -> None:
    path = "/api/operator/tax-rates/CH/standard/"
    await operator.call("PUT", path + "2024-01-01", {"percent": "7.7"})
    assert (await operator.call("PUT", path + "2024-01-01", {"percent": "8.1"})).json()["percent"] == "8.1"
    later = await operator.call("PUT", path + "2030-01-01", {"percent": "9", "valid_until": "2031-01-01"})
    listed = [
        rate for rate in (await operator.get("/api/operator/tax-rates")).json()["data"] if rate["country"] == "CH"
    ]
    assert listed[0] == later.json()
    assert len(listed) == 2
    async with database.shared() as session:
        rates = await pricing.tax_rates(session)
    seller, buyer = TaxSeller("CH"), TaxBuyer("CH")
    days = (date(2026, 1, 1), date(2030, 6, 1), date(2031, 1, 1))
    percents = [pricing.tax_treatment(seller, buyer, day, rates).percent for day in days]
    assert percents == [Decimal("8.1"), Decimal(9), Decimal("8.1")]
    assert pricing.tax_treatment(TaxSeller("SI"), TaxBuyer("SI"), days[0], rates).percent == 22


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("CH/standard/2024-01-01", {"percent": "8.1", "valid_until": "2024-01-01"}, "invalid_tax_rate"),
        ("CH/standard/2024-01-01", {"percent": "101"}, "invalid_request"),
        ("CH/standard/2024-01-01", {"percent": 8.1}, "invalid_request"),
        ("CH/standard/yesterday", {"percent": "8.1"}, "invalid_request"),
        ("Switzerland/standard/2024-01-01", {"percent": "8.1"}, "invalid_request"),
    ],
)
async def test_wrong_tax_rates_are_refused(operator: Person, path: str, body: dict[str, Any], code: str) -> None:
    assert problem(await operator.call("PUT", f"/api/operator/tax-rates/{path}", body)) == (400, code)


@pytest.mark.parametrize(
    ("numerator", "denominator", "shown"),
    [(5, 4, "1.25"), (-1, 8, "-0.125"), (1, 3, "1/3"), (7, 1, "7"), (1, 10**9, "0.000000001"), (-1, 6, "-1/6")],
)
def test_exact_amounts_for_people(numerator: int, denominator: int, shown: str) -> None:
    assert exact_text(Fraction(numerator, denominator)) == shown
