"""`unique` meters: numbers of values and sets of them, at once, taken back, and what `verify` finds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from omni.domains.metering import service
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.service.ingesting import Reporter, ingest, void
from omni.foundation.db.roles import DatabaseAddress
from omni.foundation.db.sessions import Database, SystemSession
from omni.foundation.db.system_session import SystemDatabase

NOW = datetime(2026, 11, 24, 12, 7, 33, 250_001, tzinfo=UTC)
SLOT = timedelta(minutes=15)
REPORTER = Reporter("live", UUID(int=1))
PERIOD = NOW - timedelta(days=30), NOW + SLOT
SAME_MD5 = tuple(f"TEXTCOLLBYfGiJUETHQ4h{at}cKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak" for at in "AE")
"""Marc Stevens' collision in letters and digits."""
SETS = "values of ingested events = sets of values"
NUMBERS = "each value has a number of its own"


@dataclass
class Tenant:
    """A tenant whose events two meters count: different users and different hosts, by region."""

    database: Database
    system: SystemDatabase
    id: UUID = field(default_factory=uuid4)
    kind: str = field(default_factory=lambda: f"test.{uuid4().hex}")
    meters: list[Meter] = field(default_factory=list)

    def meter(self, member: str, **changes: Any) -> Meter:
        code = f"u_{uuid4().hex[:20]}"
        made = Meter(
            code, code, "one", "", "unique", self.kind, unique_property=member, dimensions=("region",),
            scope="operator", **changes,
        )  # fmt: skip
        self.meters.append(made)
        return made

    def event(self, at: datetime = NOW, name: str | None = None, **data: object) -> dict[str, Any]:
        return {
            "specversion": "1.0", "type": self.kind, "source": "s", "id": name or uuid4().hex, "time": at.isoformat(),
            "data": data,
        }  # fmt: skip

    async def report(self, *events: dict[str, Any]) -> None:
        async with self.database.write(self.id) as session:
            assert (await ingest(session, events, REPORTER, NOW)).accepted == len(events)

    async def void(self, *names: str) -> None:
        async with self.database.write(self.id) as session:
            await void(session, [{"source": "s", "id": name} for name in names], "live", NOW)

    async def count(self, meter: Meter, group_by: Sequence[str] = (), **filters: Sequence[str]) -> Any:
        """The number of different values, or that of each group."""
        async with self.database.read(self.id) as session:
            found = await service.measure(session, meter.code, *PERIOD, filters=filters, group_by=group_by)
        if group_by:
            return {each.dimensions[0][1]: each.quantity for each in found}
        return found[0].quantity if found else 0

    async def ordinals(self, meter: Meter) -> list[int]:
        """In order; raises when the next one is not the one behind them."""
        async with self.database.read(self.id) as session:
            key = {"meter": meter.code}
            rows = await session.execute(text("select ordinal from unique_values where meter = :meter"), key)
            following = await session.scalar(text("select next from unique_counters where meter = :meter"), key)
        found = sorted(rows.scalars())
        assert following == (found[-1] + 1 if found else None)
        return found

    async def differences(self) -> list[tuple[str, int, int]]:
        async with self.system.session() as session:
            found = await service.verify(session)
        return [(each.check, each.left, each.right) for each in found if each.tenant_id == self.id]


@pytest.fixture
async def tenant(database: Database, system_database: SystemDatabase) -> AsyncIterator[Tenant]:
    """Whatever a test does, the sets equal their events afterwards."""
    async with system_database.session() as session:
        await service.ensure_partitions(session, NOW)
    made = Tenant(database, system_database)
    made.meter("user")
    made.meter("host")
    async with database.shared() as session:
        await meters_repository.insert_missing(session, made.meters)
    yield made
    assert await made.differences() == []


async def test_batches_at_once_with_the_same_new_values_number_each_value_once(tenant: Tenant) -> None:
    chance = random.Random(11)
    users, hosts = [f"user-{number}" for number in range(1_500)], [f"host-{number}" for number in range(200)]

    def batch(quarter: int) -> list[dict[str, Any]]:
        return [
            tenant.event(NOW - quarter * SLOT, region=chance.choice("abc"), user=user, host=chance.choice(hosts))
            for user in chance.sample(users, 300)
        ]

    await tenant.report(tenant.event(region="a", user="user-0", host="host-0"))
    batches = [batch(number // 2) for number in range(12)]
    await asyncio.gather(*(tenant.report(*each) for each in batches))
    for meter, member in zip(tenant.meters, ("user", "host"), strict=True):
        values = {(event["data"]["region"], event["data"][member]) for each in batches for event in each}
        values.add(("a", f"{member}-0"))
        assert await tenant.ordinals(meter) == list(range(len({value for _, value in values})))
        assert await tenant.count(meter) == len({value for _, value in values})
        by_region = {region: len({value for at, value in values if at == region}) for region in "abc"}
        assert await tenant.count(meter, ["region"]) == by_region
        assert await tenant.count(meter, region=["a", "c"]) == len({value for at, value in values if at != "b"})


async def test_who_waited_for_numbers_sees_those_that_the_other_one_gave(tenant: Tenant) -> None:
    """The quarters differ, so that only the numbers are in the way."""
    await tenant.report(tenant.event(user="zoe"))
    async with tenant.database.write(tenant.id) as first:
        await ingest(first, [tenant.event(user="ada"), tenant.event(user="bob")], REPORTER, NOW)
        second = asyncio.create_task(tenant.report(*(tenant.event(NOW - SLOT, user=name) for name in ("bob", "eve"))))
        await somebody_waits(tenant.system)
        assert not second.done()
    await second
    assert await tenant.ordinals(tenant.meters[0]) == [0, 1, 2, 3]
    assert await tenant.count(tenant.meters[0]) == 4


async def somebody_waits(system: SystemDatabase) -> None:
    """Returns once a transaction waits for another one."""
    async with asyncio.timeout(10):
        while True:
            async with system.session() as session:
                if await session.scalar(text("select count(*) from pg_locks where not granted")):
                    return
            await asyncio.sleep(0.01)


async def test_a_batch_that_fails_gives_no_numbers(tenant: Tenant) -> None:
    await tenant.report(tenant.event(user="ada"))
    with suppress(ConnectionError):
        async with tenant.database.write(tenant.id) as session:
            await ingest(session, [tenant.event(user="bob")], REPORTER, NOW)
            raise ConnectionError("the client is gone")
    await tenant.report(tenant.event(user="eve"))
    assert await tenant.ordinals(tenant.meters[0]) == [0, 1]


async def test_a_voided_event_takes_only_its_own_value_along(tenant: Tenant) -> None:
    meter = tenant.meters[0]
    await tenant.report(
        tenant.event(name="1", region="a", user="ada"),
        tenant.event(name="2", region="a", user="ada"),
        tenant.event(name="3", region="b", user="bob"),
        tenant.event(NOW - SLOT, name="4", region="b", user="bob"),
        tenant.event(name="5", region="b", user="eve"),
    )
    await tenant.void("1", "3", "5")
    assert await tenant.count(meter, ["region"]) == {"a": 1, "b": 1}
    assert await tenant.differences() == []
    await tenant.void("2", "4")
    assert await tenant.count(meter) == 0
    await tenant.report(tenant.event(region="a", user="eve"), tenant.event(region="a", user="new"))
    assert await tenant.count(meter) == 2
    assert await tenant.ordinals(meter) == [0, 1, 2, 3], "a value keeps its number"


async def test_more_values_than_a_row_tells_apart_are_counted_to_the_microsecond(tenant: Tenant) -> None:
    chance, meter = random.Random(3), tenant.meters[0]
    seen = [
        (NOW - timedelta(microseconds=chance.randrange(3_600_000_000)), chance.choice("ab"), f"user-{number % 2_600}")
        for number in range(5_000)
    ]
    for start in range(0, len(seen), 1_000):
        await tenant.report(*(tenant.event(at, region=region, user=user) for at, region, user in seen[start:][:1_000]))
    assert await tenant.ordinals(meter) == list(range(2_600))
    assert await tenant.count(meter) == 2_600
    bounds = sorted(chance.sample([at for at, _, _ in seen], 8))
    async with tenant.database.read(tenant.id) as session:
        found = await service.measure_windows(session, meter.code, bounds, group_by=["region"])
    assert [(each.start, each.dimensions[0][1], each.quantity) for each in found] == [
        (start, region, Fraction(len({user for at, place, user in seen if start <= at < end and place == region})))
        for start, end in pairwise(bounds)
        for region in "ab"
    ]


async def test_a_later_meter_numbers_the_values_that_came_before_it(tenant: Tenant) -> None:
    for start in range(0, 3_000, 1_000):
        await tenant.report(
            *(tenant.event(NOW - n % 9 * SLOT, region="a", user=f"user-{n // 2}") for n in range(start, start + 1_000))
        )
    later = tenant.meter("user", rolled_up=False)
    async with tenant.database.shared() as session:
        await meters_repository.insert_missing(session, [later])
    assert await tenant.count(later) == 1_500
    await tenant.report(tenant.event(user="user-7"), tenant.event(user="while it is counted"))
    for _ in range(2):
        await service.count_meter(tenant.system.session, later.code)
    assert await tenant.ordinals(later) == list(range(1_501))
    assert await tenant.count(later) == await tenant.count(tenant.meters[0]) == 1_501


async def test_values_that_share_a_digest_do_no_harm(tenant: Tenant) -> None:
    await tenant.report(*(tenant.event(name=value[21], user=value) for value in SAME_MD5), tenant.event(user="ada"))
    assert await tenant.ordinals(tenant.meters[0]) == [0, 1]
    await tenant.void("A")
    assert await tenant.count(tenant.meters[0]) == 2


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("update event_unique_sets set bits = set_bit(bits, 1, 0)", [(SETS, 1, 0)]),
        ("update event_unique_sets set bits = set_bit(bits, 9, 1)", [(SETS, 0, 1)]),
        ("update event_unique_sets set bits = set_bit(set_bit(bits, 1, 0), 9, 1)", [(SETS, 1, 1)]),
        ("update event_unique_sets set chunk = 1", [(SETS, 3, 3)]),
        ("update event_unique_sets set mode = 'test'", [(SETS, 3, 3)]),
        ("update event_unique_sets set group_id = md5('')::uuid", [(SETS, 3, 3)]),
        ("delete from event_unique_sets", [(SETS, 3, 0)]),
        ("delete from unique_values where ordinal = 1", [(SETS, 1, 1)]),
        ("update unique_values set ordinal = 0 where ordinal = 1", [(SETS, 0, 1), (NUMBERS, 3, 2)]),
        ("update unique_values set ordinal = 2000 where ordinal = 2", [(SETS, 1, 1), (NUMBERS, 3, 2)]),
        ("update unique_counters set next = 2", [(NUMBERS, 3, 2)]),
        ("delete from unique_counters", [(NUMBERS, 3, 0)]),
    ],
)
async def test_a_planted_difference_is_found(
    tenant: Tenant, database_address: DatabaseAddress, fault: str, expected: list[tuple[str, int, int]]
) -> None:
    await tenant.report(*(tenant.event(region="a", user=user) for user in ("ada", "bob", "eve")))
    narrowed = fault + (" and" if "where" in fault else " where") + " tenant_id = :tenant_id"
    engine = create_async_engine(database_address.url())
    async with engine.connect() as connection:
        planted = await connection.execute(text(narrowed), {"tenant_id": tenant.id})
        found = await service.verify(SystemSession(connection))
        await connection.rollback()
    await engine.dispose()
    assert planted.rowcount == 1
    assert [(each.check, each.left, each.right) for each in found if each.tenant_id == tenant.id] == expected
