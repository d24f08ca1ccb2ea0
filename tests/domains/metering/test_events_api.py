"""`POST /v1/events` and `/v1/events/void` as the backend serves them."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from fastapi import Request
from sqlalchemy import text

from omni.contracts.principal import Principal
from omni.domains.metering import service
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository import ingesting
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.routes import IngestDeps, ingest_router
from omni.domains.metering.service.usage import usage_problems
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.inference.caller import caller
from omni.kit.clock import ManualClock
from tests.inference.backend import SECRET, Backend, backend, refusal

EVENTS, VOID = "/v1/events", "/v1/events/void"
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
async def meter(database: Database, system_database: SystemDatabase) -> Meter:
    code = f"m_{uuid4().hex[:12]}"
    made = Meter(
        code, code, "second", "", "sum", f"test.{code}", "seconds", filters={"tier": ("gold", "")},
        dimensions=("region", "project"), scope="operator",
    )  # fmt: skip
    async with system_database.session() as session:
        await service.ensure_partitions(session, NOW)
    async with database.shared() as session:
        await meters_repository.insert_missing(session, [made])
    return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def tenant(database: Database, clock: ManualClock) -> Backend:
    who = caller(SECRET)

    def principal(request: Request) -> Principal:
        return who(request).principal

    return backend([ingest_router(IngestDeps(database, principal, clock))])


def event(meter: Meter, **changes: Any) -> dict[str, Any]:
    given = {
        "specversion": "1.0", "id": uuid4().hex, "source": "/jobs", "type": meter.event_type,
        "time": NOW.isoformat(), "data": {"seconds": 2, "region": "eu"},
    }  # fmt: skip
    return {name: value for name, value in {**given, **changes}.items() if value is not ...}


async def total(database: Database, tenant: Backend, meter: Meter, days: int = 40) -> tuple[Any, int]:
    async with database.read(tenant.tenant_id) as session:
        period = NOW - timedelta(days=days), NOW + timedelta(days=1)
        found = await service.measure(session, meter.code, *period, mode="test")
    return (found[0].quantity, found[0].events) if found else (0, 0)


async def problems(database: Database, tenant: Backend) -> dict[tuple[str, str], int]:
    async with database.read(tenant.tenant_id) as session:
        found = await usage_problems(session, NOW - timedelta(days=35))
    return {(problem.code, problem.what): problem.events for problem in found}


async def test_a_batch_has_a_result_for_each_event_and_counts_at_once(
    tenant: Backend, meter: Meter, database: Database
) -> None:
    known = event(meter)
    assert (await tenant.post(EVENTS, known)).json()["accepted"] == 1
    new, wrong = event(meter), event(meter, data={"seconds": -1})
    answer = await tenant.post(EVENTS, [new, known, wrong, new])
    assert answer.status_code == 200
    body = answer.json()
    assert {name: body[name] for name in ("accepted", "duplicate", "rejected")} == {
        "accepted": 1, "duplicate": 2, "rejected": 1,
    }  # fmt: skip
    assert [row["status"] for row in body["results"]] == ["accepted", "duplicate", "rejected", "duplicate"]
    assert [row["id"] for row in body["results"]] == [new["id"], known["id"], wrong["id"], new["id"]]
    assert body["results"][2]["code"] == "negative_quantity"
    assert await total(database, tenant, meter) == (4, 2)
    assert await problems(database, tenant) == {("rejected.negative_quantity", meter.event_type): 1}


@pytest.mark.parametrize(
    ("headers", "wrapped"),
    [
        ({"content-type": "application/cloudevents+json; charset=utf-8"}, False),
        ({"content-type": "application/cloudevents-batch+json"}, True),
        ({"content-type": "application/json"}, False),
        ({"content-type": "application/json"}, True),
    ],
)
async def test_structured_and_batch_mode(tenant: Backend, meter: Meter, headers: dict[str, str], wrapped: bool) -> None:
    one = event(meter)
    answer = await tenant.send("POST", EVENTS, content=orjson.dumps([one] if wrapped else one), headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


async def test_binary_mode(tenant: Backend, meter: Meter, database: Database) -> None:
    one = event(meter, source="/söurce", subject="ada")
    headers = {
        f"ce-{name}": value.encode().decode("latin-1") if value.isascii() else "/s%C3%B6urce"
        for name, value in one.items()
        if isinstance(value, str)
    }
    body = orjson.dumps(one["data"])
    answer = await tenant.send("POST", EVENTS, content=body, headers={**headers, "content-type": "application/json"})
    assert answer.json()["results"] == [{"source": "/söurce", "id": one["id"], "status": "accepted"}]
    again = await tenant.post(EVENTS, one)
    assert again.json()["duplicate"] == 1
    assert await total(database, tenant, meter) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"specversion": "0.3"}, "unsupported_specversion"),
        ({"specversion": ...}, "unsupported_specversion"),
        ({"id": ""}, "invalid_event"),
        ({"id": 7}, "invalid_event"),
        ({"id": "x" * 201}, "invalid_event"),
        ({"source": ...}, "invalid_event"),
        ({"source": "a\nb"}, "invalid_event"),
        ({"type": None}, "invalid_event"),
        ({"subject": 3}, "invalid_event"),
        ({"type": "nobody.counts.this"}, "unknown_event_type"),
        ({"time": "yesterday"}, "invalid_time"),
        ({"time": "2026-11-24"}, "invalid_time"),
        ({"time": "2026-11-24T10:00:00"}, "invalid_time"),
        ({"time": 1_764_000_000}, "invalid_time"),
        ({"time": (NOW + timedelta(minutes=5, seconds=1)).isoformat()}, "in_the_future"),
        ({"time": "9999-12-31T23:59:59-23:59"}, "invalid_time"),
        ({"time": (NOW - timedelta(days=35, seconds=1)).isoformat()}, "too_late"),
        ({"data": [1]}, "invalid_event"),
        ({"data": ..., "data_base64": "AA=="}, "invalid_event"),
        ({"data": {"seconds": 1, "note": "x" * 17_000}}, "event_too_large"),
        ({"data": {"seconds": 1, "note": "a\x00b"}}, "invalid_event"),
        ({"data": {"seconds": -0.5}}, "negative_quantity"),
        ({"data": {"seconds": "-3"}}, "negative_quantity"),
        ({"data": {"seconds": "NaN"}}, "quantity_not_finite"),
        ({"data": {"seconds": "-Infinity"}}, "quantity_not_finite"),
        ({"data": {"seconds": True}}, "invalid_quantity"),
        ({"data": {"seconds": [1]}}, "invalid_quantity"),
        ({"data": {"seconds": "1e5"}}, "invalid_quantity"),
        ({"data": {"seconds": "١"}}, "invalid_quantity"),
        ({"data": {"seconds": 10**15}}, "invalid_quantity"),
        ({"data": {"seconds": 1e300}}, "invalid_quantity"),
        ({"data": {"seconds": 1e-30}}, "invalid_quantity"),
    ],
)
async def test_a_wrong_event_is_rejected_with_a_code_and_the_others_are_taken(
    tenant: Backend, meter: Meter, database: Database, changes: dict[str, Any], code: str
) -> None:
    answer = await tenant.post(EVENTS, [event(meter), event(meter, **changes)])
    assert answer.status_code == 200
    right, wrong = answer.json()["results"]
    assert (right["status"], wrong["status"], wrong["code"]) == ("accepted", "rejected", code)
    assert wrong["reason"]
    assert await total(database, tenant, meter) == (2, 1)


@pytest.mark.parametrize("item", [None, 3, "text", [], [[]]])
async def test_what_is_no_object_is_rejected(tenant: Backend, item: object) -> None:
    answer = await tenant.post(EVENTS, [item])
    assert answer.json()["results"][0] | {"reason": ""} == {
        "source": "", "id": "", "status": "rejected", "code": "invalid_event", "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"[]", {}, (400, "batch_empty")),
        (b"[" + b"1," * 10_000 + b"1]", {}, (400, "batch_too_long")),
        (b'{"id":', {}, (400, "invalid_json")),
        (b'{"data": 1e999}', {}, (400, "invalid_json")),
        (b'{"data": NaN}', {}, (400, "invalid_json")),
        (b"\xff", {}, (400, "invalid_json")),
        (b"<event/>", {"content-type": "application/xml"}, (415, "unsupported_media_type")),
        (b"{", {"ce-id": "1"}, (400, "invalid_json")),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused(
    tenant: Backend, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    answer = await tenant.send("POST", EVENTS, content=body, headers={"content-type": "application/json"} | headers)
    assert refusal(answer) == expected


async def test_limits_of_time_are_inclusive_and_no_time_means_arrival(
    tenant: Backend, meter: Meter, database: Database
) -> None:
    sent = [
        event(meter, time=(NOW + timedelta(minutes=5)).isoformat()),
        event(meter, time=(NOW - timedelta(days=35)).isoformat()),
        event(meter, time=...),
        event(meter, time="2026-11-24t09:30:00.123456789z" if NOW.year == 2026 else NOW.isoformat()),
    ]
    answer = (await tenant.post(EVENTS, sent)).json()
    assert [row["status"] for row in answer["results"]][:3] == ["accepted"] * 3
    async with database.read(tenant.tenant_id) as session:
        arrived = await service.measure(session, meter.code, NOW, NOW + timedelta(microseconds=1), mode="test")
    assert arrived[0].events == 1


async def test_an_id_is_remembered_for_35_days_whatever_else_differs(
    tenant: Backend, meter: Meter, clock: ManualClock
) -> None:
    first = event(meter, time=...)
    assert (await tenant.post(EVENTS, first)).json()["accepted"] == 1
    clock.advance(timedelta(days=35))
    assert (await tenant.post(EVENTS, {**first, "data": {"seconds": 9}})).json()["duplicate"] == 1
    assert (await tenant.post(EVENTS, {**first, "source": "/other"})).json()["accepted"] == 1
    clock.advance(timedelta(minutes=11))
    assert (await tenant.post(EVENTS, first)).json()["accepted"] == 1


async def test_the_same_events_sent_at_once_count_once(tenant: Backend, meter: Meter, database: Database) -> None:
    chance = random.Random(3)
    sent = [event(meter) for _ in range(300)]
    batches = [chance.sample(sent, 200) for _ in range(6)] + [sent]
    answers = await asyncio.gather(*(tenant.post(EVENTS, batch) for batch in batches))
    assert sum(answer.json()["accepted"] for answer in answers) == 300
    assert await total(database, tenant, meter) == (600, 300)


async def test_voiding_takes_back_once_and_is_idempotent(
    tenant: Backend, meter: Meter, database: Database, system_database: SystemDatabase
) -> None:
    kept, gone = event(meter), event(meter)
    await tenant.post(EVENTS, [kept, gone])
    named = {"source": gone["source"], "id": gone["id"]}
    for _ in range(2):
        answer = await tenant.post(VOID, [named, {"source": "/jobs", "id": "never"}])
        assert [row["status"] for row in answer.json()["results"]] == ["voided", "not_found"]
        assert await total(database, tenant, meter) == (2, 1)
    assert (await tenant.post(EVENTS, gone)).json()["duplicate"] == 1, "a voided id stays taken"
    last = await tenant.post(VOID, {"source": kept["source"], "id": kept["id"]})
    assert last.json()["results"][0]["status"] == "voided"
    assert await total(database, tenant, meter) == (0, 0)
    async with system_database.session() as session:
        assert [found for found in await service.verify(session) if found.tenant_id == tenant.tenant_id] == []


@pytest.mark.parametrize("body", [[], {"id": "x"}, [{"source": 1, "id": "x"}], "x"])
async def test_what_is_to_be_voided_has_to_be_named(tenant: Backend, body: object) -> None:
    status, code = refusal(await tenant.post(VOID, body))
    assert (status, code) in [(400, "invalid_event"), (400, "batch_empty")]


async def test_others_neither_void_nor_see_an_event(tenant: Backend, meter: Meter, database: Database) -> None:
    one = event(meter)
    await tenant.post(EVENTS, one)
    other = Backend(tenant.app, UUID(int=uuid4().int))
    answer = await other.post(VOID, {"source": one["source"], "id": one["id"]})
    assert answer.json()["results"][0]["status"] == "not_found"
    assert (await other.post(EVENTS, one)).json()["accepted"] == 1, "ids are each tenant's own"
    assert await total(database, tenant, meter) == (2, 1)
    assert await total(database, other, meter) == (2, 1)


async def test_what_is_accepted_and_not_counted_is_reported_until_it_counts(
    tenant: Backend, meter: Meter, database: Database, system_database: SystemDatabase
) -> None:
    silver = event(meter, data={"seconds": 1, "tier": "silver"})
    empty = event(meter, data={"region": "eu"})
    answer = await tenant.post(EVENTS, [silver, empty, event(meter)])
    assert answer.json()["accepted"] == 3
    assert await problems(database, tenant) == {
        ("not_counted", meter.event_type): 2, ("value_missing", meter.code): 1,
    }  # fmt: skip
    new = Meter(f"n_{uuid4().hex[:12]}", "n", "event", "", "count", meter.event_type, scope="operator", rolled_up=False)
    async with database.shared() as session:
        await meters_repository.insert_missing(session, [new])
    await service.count_meter(system_database.session, new.code)
    assert await problems(database, tenant) == {("value_missing", meter.code): 1}
    assert await total(database, tenant, new) == (3, 3)
    async with database.shared() as session:
        await meters_repository.update(session, new.code, {"active": False})


async def test_a_type_whose_meters_are_retired_is_refused(tenant: Backend, meter: Meter, database: Database) -> None:
    old = Meter(f"o_{uuid4().hex[:12]}", "o", "event", "", "count", f"test.{uuid4().hex}", scope="operator")
    async with database.shared() as session:
        await meters_repository.insert_missing(session, [old])
    assert (await tenant.post(EVENTS, event(old))).json()["accepted"] == 1
    async with database.shared() as session:
        await meters_repository.update(session, old.code, {"active": False})
    assert (await tenant.post(EVENTS, event(old))).json()["results"][0]["code"] == "unknown_event_type"
    assert await total(database, tenant, old) == (1, 1)


async def test_nothing_stays_of_a_batch_that_fails_halfway(
    tenant: Backend, meter: Meter, database: Database, system_database: SystemDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ConnectionError("the database is gone")

    one = event(meter)
    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "add_to_rollups", broken)
        assert (await tenant.post(EVENTS, one)).status_code == 500
    async with database.read(tenant.tenant_id) as session:
        assert await session.scalar(text("select count(*) from ingested_events")) == 0
    assert (await tenant.post(EVENTS, one)).json()["accepted"] == 1
    assert await total(database, tenant, meter) == (2, 1)
