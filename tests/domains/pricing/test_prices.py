"""The price book."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from omni.domains.metering import service as metering
from omni.domains.pricing.contracts import Price
from omni.domains.pricing.rules.list_prices import price_at
from omni.domains.pricing.service import prices as service
from omni.foundation.db.system_session import SystemDatabase
from tests.domains.people import People

JANUARY, MAY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def book(system_database: SystemDatabase) -> None:
    async with system_database.session() as session:
        await metering.seed_meters(session)
        await service.seed_prices(session)


def body(**changes: Any) -> dict[str, Any]:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start += timedelta(hours=2 + uuid4().int % 100_000)
    given = {
        "meter": "pages", "currency": "EUR", "valid_from": start.isoformat(),
        "price_nanos": 3_000_000, "per_quantity": 1,
    }  # fmt: skip
    return {**given, **changes}


@pytest.mark.parametrize(
    ("moment", "nanos"),
    [(JANUARY - timedelta(seconds=1), None), (JANUARY, 1), (MAY - timedelta(seconds=1), 1), (MAY, 2)],
)
def test_the_newest_price_that_has_begun_holds(moment: datetime, nanos: int | None) -> None:
    prices = [Price("pages", "EUR", MAY, 2, 1), Price("pages", "EUR", JANUARY, 1, 1), Price("x", "EUR", JANUARY, 9, 1)]
    price = price_at(prices, "pages", moment)
    assert (price.price_nanos if price else None) == nanos


async def test_an_operator_sets_a_price_that_begins_later(people: People) -> None:
    operator, price = await people.operator(), body()
    assert (await operator.post("/api/operator/prices", price)).status_code == 201
    listed = (await people.client.get("/api/prices?currency=EUR")).json()["data"]
    assert datetime.fromisoformat(price["valid_from"]) in [datetime.fromisoformat(p["valid_from"]) for p in listed]
    again = await operator.post("/api/operator/prices", price)
    assert (again.status_code, again.json()["code"]) == (409, "price_exists")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"currency": "XXX"}, "unknown_currency"),
        ({"valid_from": "2026-01-01T00:00:00Z"}, "price_start_in_the_past"),
        ({"valid_from": "2040-01-01T00:30:00Z"}, "price_start_not_full_hour"),
        ({"price_nanos": -1}, "invalid_request"),
        ({"price_nanos": 0.5}, "invalid_request"),
        ({"per_quantity": 0}, "invalid_request"),
        ({"meter": "nonsense"}, "unknown_meter"),
    ],
)
async def test_wrong_prices_are_refused(people: People, changes: dict[str, Any], code: str) -> None:
    answer = await (await people.operator()).post("/api/operator/prices", body(**changes))
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_only_operators_set_prices(people: People) -> None:
    answer = await (await people.owner()).post("/api/operator/prices", body())
    assert (answer.status_code, answer.json()["code"]) == (403, "operator_required")
