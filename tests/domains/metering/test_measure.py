"""Measurements against a naive count over the raw events: every aggregation, any instants, late, voided, duplicate."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from omni.domains.metering import service
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.rules.periods import windows
from omni.domains.metering.service.ingesting import Reporter, ingest, void
from omni.domains.metering.service.measuring import counted_events
from omni.domains.metering.service.meters import pieces
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.kit.errors import InvalidInput, NotFound
from omni.testing.usage import usage_event
from tests.domains.metering.oracle import Reported, measured

NOW = datetime(2026, 11, 24, 12, 7, 33, 250_001, tzinfo=UTC)
TYPE = "test.render"
REPORTER = Reporter("live", UUID(int=1))
DIMENSIONS = ("region", "tier", "subject", "source")
AGGREGATIONS = ("count", "sum", "max", "latest", "unique", "average", "weighted_sum")
FILTER = {"tier": ("1", "true")}


def meter_of(aggregation: Any, event_type: str, **changes: Any) -> Meter:
    wanted = {"unique": {"unique_property": "user"}, "count": {}}.get(aggregation, {"value_property": "amount"})
    code = f"m_{uuid4().hex[:20]}"
    return Meter(
        code, code, "unit", "", aggregation, event_type, dimensions=DIMENSIONS, scope="operator", **(wanted | changes)
    )


@pytest.fixture(scope="module")
async def meters(database: Database, system_database: SystemDatabase) -> list[Meter]:
    """Each aggregation, with a filter and without, of one type; one of them is new and not rolled up."""
    made = [meter_of(aggregation, TYPE, filters=filters) for aggregation in AGGREGATIONS for filters in ({}, FILTER)]
    made += [meter_of(aggregation, TYPE, rolled_up=False) for aggregation in ("sum", "latest", "unique")]
    async with system_database.session() as session:
        await service.ensure_partitions(session, NOW)
    async with database.shared() as session:
        await meters_repository.insert_missing(session, made)
    return made


class History:
    """A tenant's events, reported in several batches with repetitions, some voided."""

    def __init__(self, seed: int, count: int = 120) -> None:
        self.chance = random.Random(seed)
        self.tenant_id = uuid4()
        self.kept: list[Reported] = []
        self._all: list[Reported] = [self._event(number) for number in range(count)]

    def _event(self, number: int) -> Reported:
        chance = self.chance
        span = chance.choice([timedelta(hours=2), timedelta(days=2), timedelta(days=34)])
        at = NOW - timedelta(microseconds=chance.randrange(span // timedelta(microseconds=1)))
        if chance.random() < 0.3:  # many at one instant, and on the bounds of quarters
            at = at.replace(minute=chance.choice([0, 15, 30]), second=0, microsecond=0) - timedelta(hours=1)
        data: dict[str, Any] = {"region": chance.choice(["eu", "us"]), "tier": chance.choice([1, True, "x"])}
        if chance.random() < 0.9:
            data["amount"] = chance.choice([0, 7, 3.25, "0.000000000000000000000001", 10**14, 0.1, 1e-7])
        if chance.random() < 0.9:
            data["user"] = chance.choice(["a", "b", "c", 4, False])
        if chance.random() < 0.1:
            del data["region"]
        return Reported(chance.choice(["s1", "s2"]), str(number), at, data, chance.choice(["", "ada"]))

    async def report(self, database: Database) -> None:
        batch = [*self._all, *self.chance.sample(self._all, len(self._all) // 4)]
        self.chance.shuffle(batch)
        accepted = duplicate = 0
        while batch:
            size = self.chance.randint(1, 50)
            sent, batch = batch[:size], batch[size:]
            async with database.write(self.tenant_id) as session:
                done = await ingest(session, [to_api(event) for event in sent], REPORTER, NOW)
            accepted, duplicate = accepted + done.accepted, duplicate + done.duplicate
        assert (accepted, duplicate) == (len(self._all), len(self._all) // 4)
        gone = self.chance.sample(self._all, len(self._all) // 10)
        async with database.write(self.tenant_id) as session:
            named = [{"source": event.source, "id": event.id} for event in gone]
            assert {row["status"] for row in await void(session, named * 2, "live", NOW)} == {"voided"}
        self.kept = [event for event in self._all if event not in gone]


def to_api(event: Reported) -> dict[str, Any]:
    members = {"specversion": "1.0", "type": TYPE, "source": event.source, "id": event.id, "data": dict(event.data)}
    if event.subject:
        members["subject"] = event.subject
    return members | {"time": event.at.isoformat()}


@pytest.fixture(scope="module")
async def histories(database: Database, meters: list[Meter]) -> list[History]:
    made = [History(seed) for seed in range(3)]
    for history in made:
        await history.report(database)
    return made


FULL_HOUR = NOW.replace(minute=0, second=0, microsecond=0)
moments = st.integers(0, 36 * 24 * 3600 * 1_000_000).map(lambda micros: NOW - timedelta(microseconds=micros))
moments |= st.integers(0, 36 * 96).map(lambda quarters: FULL_HOUR - quarters * timedelta(minutes=15))
filters = st.dictionaries(
    st.sampled_from(["region", "tier", "source"]),
    st.lists(st.sampled_from(["eu", "us", "", "1", "true", "x", "s1"]), min_size=1, max_size=3),
    max_size=2,
)
groups = st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=3)


@given(st.integers(0, 2), st.integers(0, 2 * len(AGGREGATIONS) + 2), moments, moments, filters, groups)
@settings(max_examples=300, deadline=None)
async def test_any_period_is_measured_as_a_naive_count_does(
    database: Database,
    meters: list[Meter],
    histories: list[History],
    number: int,
    which: int,
    one: datetime,
    other: datetime,
    wanted: dict[str, list[str]],
    group_by: list[str],
) -> None:
    start, end = min(one, other), max(one, other) + timedelta(microseconds=1)
    history, meter = histories[number], meters[which]
    expected = measured(meter, history.kept, start, end, wanted, group_by)
    async with database.read(history.tenant_id) as session:
        found = await service.measure(session, meter.code, start, end, filters=wanted, group_by=group_by)
    assert found == expected


@given(
    st.integers(0, 2),
    st.integers(0, 2 * len(AGGREGATIONS) + 2),
    st.sampled_from(["hour", "day", "month"]),
    st.sampled_from(["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Ljubljana", "America/St_Johns"]),
    moments,
    st.integers(1, 60 * 24 * 4),
)
@settings(max_examples=100, deadline=None)
async def test_windows_of_a_zone_are_measured_one_by_one(
    database: Database,
    meters: list[Meter],
    histories: list[History],
    number: int,
    which: int,
    window: str,
    zone: str,
    start: datetime,
    minutes: int,
) -> None:
    history, meter = histories[number], meters[which]
    bounds = windows(start, start + timedelta(minutes=minutes), window, ZoneInfo(zone))
    async with database.read(history.tenant_id) as session:
        found = await service.measure_windows(session, meter.code, bounds, group_by=["region"])
    expected = [
        (first, each.dimensions, each.quantity, each.events)
        for first, second in pairwise(bounds)
        for each in measured(meter, history.kept, first, second, {}, ["region"])
    ]
    assert [(each.start, each.dimensions, each.quantity, each.events) for each in found] == expected


@given(st.integers(0, 2), st.integers(0, 2 * len(AGGREGATIONS) + 2), st.lists(moments, min_size=3, unique=True))
@settings(max_examples=100, deadline=None)
async def test_windows_may_cut_quarters_anywhere(
    database: Database, meters: list[Meter], histories: list[History], number: int, which: int, cuts: list[datetime]
) -> None:
    history, meter, bounds = histories[number], meters[which], sorted(cuts)
    async with database.read(history.tenant_id) as session:
        found = await service.measure_windows(session, meter.code, bounds)
    expected = [
        (first, each.quantity, each.events)
        for first, second in pairwise(bounds)
        for each in measured(meter, history.kept, first, second, {}, [])
    ]
    assert [(each.start, each.quantity, each.events) for each in found] == expected


async def test_the_events_behind_a_measurement_are_those_that_it_counts(
    database: Database, meters: list[Meter], histories: list[History]
) -> None:
    history, start, end = histories[0], NOW - timedelta(days=3), NOW - timedelta(hours=1)
    for meter in meters:
        inside = [event for event in history.kept if start <= event.at < end]
        expected = [event for event in inside if measured(meter, [event], start, end, {}, ())]
        found: list[tuple[str, str]] = []
        after = None
        async with database.read(history.tenant_id) as session:
            while page := await service.events_of(session, meter.code, start, end, after=after, limit=7):
                found += [(event.source, event.event_id) for event in page]
                assert [event.occurred_at for event in page] == sorted(event.occurred_at for event in page)
                after = page[-1].cursor
            counted = sum(each.events for each in await service.measure(session, meter.code, start, end))
        assert sorted(found) == sorted((event.source, event.id) for event in expected)
        assert counted == len(found) == len(set(found))


async def test_the_rollups_equal_their_events_and_a_planted_difference_is_found(
    database: Database, system_database: SystemDatabase, meters: list[Meter], histories: list[History]
) -> None:
    tenants = {history.tenant_id for history in histories}

    async def differences() -> list[object]:
        async with system_database.session() as session:
            return [found for found in await service.verify(session) if found.tenant_id in tenants]

    assert await differences() == []
    plant = text("update event_rollups set total = total + :by where tenant_id = :t and meter = :m")
    for by in (1, -1):
        async with database.write(histories[1].tenant_id) as session:
            await session.execute(plant, {"by": by, "t": histories[1].tenant_id, "m": meters[2].code})
        assert bool(await differences()) == (by == 1)


async def test_a_new_meter_counts_what_came_before_it(
    database: Database, system_database: SystemDatabase, histories: list[History]
) -> None:
    made = [meter_of(aggregation, TYPE, rolled_up=False) for aggregation in AGGREGATIONS]
    async with database.shared() as session:
        await meters_repository.insert_missing(session, made)
    start, end = NOW - timedelta(days=40), NOW + timedelta(minutes=3)
    for meter in made:
        for _ in range(2):
            await service.count_meter(system_database.session, meter.code)
    async with system_database.session() as session:
        assert all(meter.rolled_up for meter in await service.list_meters(session) if meter in made)
        assert [d for d in await service.verify(session) if d.tenant_id == histories[2].tenant_id] == []
    for meter in made:
        async with database.read(histories[2].tenant_id) as session:
            found = await service.measure(session, meter.code, start, end, group_by=["tier"])
        assert found == measured(meter, histories[2].kept, start, end, {}, ["tier"])


def test_older_events_are_counted_in_pieces_of_one_tenant_that_stay_small() -> None:
    one, other, slot = UUID(int=1), UUID(int=2), timedelta(minutes=15)
    slots = [(one, FULL_HOUR + number * slot, events) for number, events in enumerate((9_000, 11_000, 1, 50_000, 5))]
    found = pieces([*slots, (other, FULL_HOUR, 1)])
    assert [(tenant, (start - FULL_HOUR) // slot, (end - FULL_HOUR) // slot) for tenant, (start, end) in found] == [
        (one, 0, 2), (one, 2, 3), (one, 3, 4), (one, 4, 5), (other, 0, 1),
    ]  # fmt: skip


async def test_levels_go_up_and_down_and_are_carried_in(database: Database) -> None:
    kind = f"test.{uuid4().hex}"
    meter, tenant_id = meter_of("weighted_sum", kind), uuid4()
    async with database.shared() as session:
        await meters_repository.insert_missing(session, [meter])
    day = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    changes = [
        (day - timedelta(days=9), 10),
        (day - timedelta(days=1, hours=12), -4),
        (day - timedelta(hours=6), "4.5"),
    ]
    events = [
        {"specversion": "1.0", "type": kind, "source": "s", "id": str(number), "time": at.isoformat(),
         "data": {"amount": amount}}
        for number, (at, amount) in enumerate(changes)
    ]  # fmt: skip
    async with database.write(tenant_id) as session:
        assert (await ingest(session, events, REPORTER, NOW)).accepted == 3
    async with database.read(tenant_id) as session:
        days = [day - timedelta(days=number) for number in (3, 2, 1, 0)]
        found = await service.measure_windows(session, meter.code, days)
    assert [(each.quantity, each.events) for each in found] == [(10, 0), (8, 1), (6 + Fraction(9, 8), 1)]


async def test_transactions_come_with_their_price(database: Database) -> None:
    kind = f"test.{uuid4().hex}"
    meter, tenant_id = meter_of("sum", kind), uuid4()
    async with database.shared() as session:
        await meters_repository.insert_missing(session, [meter])
    data = [{"amount": 3, "price": "0.125"}, {"amount": 1.5, "price": 2, "region": "eu"}, {"amount": 4, "price": "x"}]
    events = [
        {"specversion": "1.0", "type": kind, "source": "s", "id": str(number), "data": each,
         "time": (NOW - timedelta(minutes=9 - number)).isoformat()}
        for number, each in enumerate(data)
    ]  # fmt: skip
    async with database.write(tenant_id) as session:
        await ingest(session, events, REPORTER, NOW)
    async with database.read(tenant_id) as session:
        asked = service.transactions(session, meter.code, NOW - timedelta(hours=1), NOW, group_by=["region"])
        found = [(each.event_id, each.value, each.price, each.dimensions) async for each in asked]
    assert found == [
        ("0", 3, Decimal("0.125"), (("region", ""),)), ("1", Decimal("1.5"), 2, (("region", "eu"),)),
        ("2", 4, None, (("region", ""),)),
    ]  # fmt: skip


async def test_requests_of_the_gateway_are_measured_to_the_microsecond(
    database: Database, system_database: SystemDatabase
) -> None:
    chance, tenant_id = random.Random(5), uuid4()
    events = [
        replace(
            usage_event(tenant_id, NOW - timedelta(seconds=chance.randrange(9_000)), pages=chance.randrange(5)),
            status=chance.choice([200, 404]), model=chance.choice(["a", "b"]),
        )
        for _ in range(200)
    ]  # fmt: skip
    async with system_database.session() as session:
        await service.seed_meters(session)
        await service.record(session, events)
    for _ in range(25):
        start, end = sorted(NOW - timedelta(milliseconds=chance.randrange(10_000_000)) for _ in range(2))
        async with database.read(tenant_id) as session:
            found = await service.measure(session, "pages", start, end, filters={"model": ["a"]}, group_by=["status"])
            listed = await service.events_of(session, "pages", start, end, filters={"model": ["a"]}, limit=1000)
        inside = [
            event for event in events
            if event.model == "a" and start <= NOW.fromtimestamp(event.occurred_at_micros / 1e6, UTC) < end
        ]  # fmt: skip
        expected = {
            str(status): (Fraction(sum(e.quantities["pages"] for e in inside if e.status == status)), count)
            for status in (200, 404)
            if (count := sum(event.status == status for event in inside))
        }
        assert {each.dimensions[0][1]: (each.quantity, each.events) for each in found} == expected
        assert {event.event_id for event in listed} == {str(event.event_id) for event in inside}


async def test_other_tenants_and_other_modes_are_never_counted(
    database: Database, meters: list[Meter], histories: list[History]
) -> None:
    start, end = NOW - timedelta(days=40), NOW + timedelta(days=1)
    for meter in meters:
        async with database.read(uuid4()) as session:
            assert await service.measure(session, meter.code, start, end) == []
            assert await service.events_of(session, meter.code, start, end) == []
        async with database.read(histories[0].tenant_id) as session:
            assert await service.measure(session, meter.code, start, end, mode="test") == []
            assert await counted_events(session, meter.code, (start, end), {}, (None, 10), "test") == []


@pytest.mark.parametrize(
    ("meter", "changes", "code"),
    [
        ("no_such_meter", {}, "meter_not_found"),
        (None, {"group_by": ["colour"]}, "unknown_dimension"),
        (None, {"group_by": ["region", "region"]}, "unknown_dimension"),
        (None, {"filters": {"colour": ["red"]}}, "unknown_dimension"),
        (None, {"end": NOW - timedelta(days=1)}, "period_empty"),
    ],
)
async def test_questions_without_sense_are_refused(
    database: Database, meters: list[Meter], meter: str | None, changes: dict[str, Any], code: str
) -> None:
    end = changes.pop("end", NOW + timedelta(days=1))
    async with database.read(uuid4()) as session:
        with pytest.raises((NotFound, InvalidInput)) as refused:
            await service.measure(session, meter or meters[0].code, NOW, end, **changes)
    assert refused.value.code == code
