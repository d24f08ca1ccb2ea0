"""T6: events shuffled, sent again and late, by eight senders, while processes, Redis and PostgreSQL are killed: each is
billed once, and `omni billing verify` says so.

`OMNI_TEST_SEED` chooses the events and the moments; the seed of a run is printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import redis

from omni.contracts import redis_names
from omni.domains.billing import facade as billing
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.kit.errors import Conflict, Unavailable
from tests.acceptance.platform import Platform, until
from tests.acceptance.reported import SENT_AGAIN, Batch, Caller, Reported, Senders, make_events, shuffled_batches
from tests.acceptance.test_crash import no_differences

VICTIMS = ("worker", "backend", "gateway", "redis", "postgres")
TYPE, METER = "com.example.storage", "stored_gigabytes"
PRICE_NANOS, FEE_MINOR = 20_000_000, 1000
"""Two cents for a gigabyte, ten euros a month."""
BEGUN_DAYS = 40
LEASE_SECONDS = 5
"""How long the requests of a dead gateway stay open."""


@dataclass(frozen=True)
class Size:
    events: int
    batch: int
    rounds: int
    """How often each victim dies."""


@dataclass
class Fire:
    """One platform, its tenant, and what was done to them."""

    platform: Platform
    size: Size
    chance: Random
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def tenant(self) -> str:
        return self.platform.first_access["tenant"]

    def kill(self, victim: str) -> None:
        """kill -9; returns once another one has taken its place, ready or not."""
        pid = self.platform.run_file()["pids"][victim]
        os.kill(pid, signal.SIGKILL)
        self.kills[victim] += 1
        until(lambda: self.platform.run_file()["pids"].get(victim) not in (None, pid), 40, f"{victim} is started again")

    def run(self, senders: Senders, batches: Sequence[Batch]) -> None:
        """Sends everything. Between two deaths goes an equal share of it, and each comes somewhere in its share, with
        the next share ready: nobody waits for a platform that is well."""
        deaths = [victim for _ in range(self.size.rounds) for victim in self.chance.sample(VICTIMS, len(VICTIMS))]
        share = len(batches) / (len(deaths) + 1)
        for number, victim in enumerate(deaths):
            start, end = round(number * share), round((number + 1) * share)
            senders.send(batches[start:end])
            goal = start + round((end - start) * self.chance.uniform(0.1, 0.9))
            until(lambda goal=goal: senders.batches >= goal or senders.wrong, 150, f"batch {goal}")  # type: ignore[misc]
            self.kill(victim)
            if number == len(deaths) // 2:
                self.close_month()
        senders.send(batches[round(len(deaths) * share) :])

    def close_month(self) -> None:
        """The billing run of the worker, now: the month that is over is invoiced while its usage still comes in."""

        async def bill() -> bool:
            run = self.platform.run_file()
            key = MasterKey.load_or_create(self.platform.home / "secrets" / "master.key")
            address = DatabaseAddress(run["database"], key)
            database = Database(create_engine(address.url(Role.APP), "test", PoolSettings(size=1)))
            try:
                async with database.write(UUID(self.tenant)) as session:
                    await billing.bill_tenant(session, datetime.now(UTC))
            except (Unavailable, Conflict):  # away, or the worker does it just now
                return False
            finally:
                await database.close()
            return True

        until(lambda: asyncio.run(bill()), 60, "the month is invoiced")


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(events=8_000, batch=40, rounds=1), id="8,000 events"),
        pytest.param(
            Size(events=200_000, batch=200, rounds=6), id="200,000 events",
            marks=[pytest.mark.soak, pytest.mark.timeout(3600)],
        ),
    ],
)  # fmt: skip
def test_every_event_is_billed_once(size: Size, tmp_path: Path) -> None:
    seed = int(os.environ.get("OMNI_TEST_SEED") or SystemRandom().randrange(10**6))
    print(f"OMNI_TEST_SEED={seed}")
    started, chance = time.monotonic(), Random(seed)
    events = make_events(chance, size.events, datetime.now(UTC))
    batches = shuffled_batches(chance, events, size.batch)
    sent = Counter(event.id for batch in batches for event in batch)
    assert sum(times > 1 for times in sent.values()) == round(SENT_AGAIN * len(events))
    with Platform(tmp_path / "home", {"OMNI_LEASE_SECONDS": str(LEASE_SECONDS)}) as platform:
        fire = Fire(platform, size, chance)
        sell(platform)
        with Caller(platform) as caller, Senders(platform, TYPE) as senders:
            fire.run(senders, batches)
        sending = time.monotonic() - started
        platform.wait_until_steady("at the end")
        wait_until_settled(platform)
        assert senders.wrong == []
        assert len(senders.done) == len(events)
        assert max(senders.accepted.values()) == 1, "nothing was accepted twice"
        found = verified(platform, fire.tenant, events)
        requests_are_counted_once(platform, caller, found)
        no_differences(platform)
    print(
        f"{sent.total()} events sent in {len(batches)} batches, {len(events)} unique, billed {found['billed_events']}, "
        f"difference {found['billed_events'] - found['unique_events']}; {len(caller.answered)} requests; "
        f"kills {dict(fire.kills)}; answers {dict(senders.statuses)}; "
        f"{sending:.0f} s of sending, {time.monotonic() - started:.0f} s in all"
    )


def sell(platform: Platform) -> None:
    """The first tenant has been there for forty days, on a plan that sells gigabytes and requests."""
    with platform.control() as control:
        meter = {
            "code": METER, "name": "Storage", "unit": "gigabyte", "aggregation": "sum", "event_type": TYPE,
            "value_property": "gigabytes", "dimensions": ["source"],
        }  # fmt: skip
        card = {"product": "storage", "currency": "EUR"}
        per_unit = {"kind": "per_unit", "price": {"price_nanos": PRICE_NANOS}}
        cards = [
            {**card, "code": "fee", "name": "Fee", "price": {"kind": "flat", "price_nanos": FEE_MINOR * 10**7}},
            {**card, "code": "gigabytes", "name": "Gigabytes", "meter": METER, "price": per_unit},
            {**card, "code": "requests", "name": "Requests", "meter": "requests", "price": per_unit},
        ]
        terms = {"currency": "EUR", "rate_cards": cards, "anchor": "anniversary"}
        seller = {"name": "Omni d.o.o.", "country": "SI", "invoice_prefix": "OM"}
        for answer in (
            control.post("/api/meters", json=meter),
            control.put("/api/operator/products/storage", json={"name": "Storage"}),
            control.post("/api/operator/plans/enterprise/versions", json=terms),
        ):
            assert answer.status_code in (200, 201), answer.text
        asyncio.run(age(platform))
        answer = control.put("/api/operator/legal-entities/omni", json=seller)
        assert answer.status_code == 200, answer.text


async def age(platform: Platform) -> None:
    connection = await asyncpg.connect(platform.run_file()["database"])
    await connection.execute(f"update tenants set created_at = created_at - interval '{BEGUN_DAYS} days'")
    await connection.close()


def wait_until_settled(platform: Platform) -> None:
    """Every request has ended, those of dead gateways by their leases, and is in the database."""
    client = redis.Redis.from_url(platform.run_file()["redis"])
    numbers = range(redis_names.PARTITIONS)

    def settled() -> bool:
        held = any(client.zcard(redis_names.holds_index(number)) for number in numbers)
        return not held and not any(client.xlen(redis_names.usage_stream(number)) for number in numbers)

    until(settled, 60, "no request is open, and no event on its way")
    client.close()


def verified(platform: Platform, tenant: str, events: Sequence[Reported]) -> dict[str, Any]:
    """What `omni billing verify` says once the invoice has caught up with its late usage, equal to our own sums."""
    code, before = billing_verify(platform, tenant)
    assert code == 1, "usage that came after its invoice is not billed yet"
    assert {each["check"] for each in before["differences"]} <= {
        "usage events = invoice lines", "invoice usage × prices = line gigabytes",
    }, before["differences"]  # fmt: skip
    with platform.control() as control:
        (subscription,) = control.get(f"/api/tenants/{tenant}/subscriptions").json()["data"]
        for invoice in control.get(f"/api/tenants/{tenant}/invoices").json()["data"]:
            again = control.post(f"/api/operator/tenants/{tenant}/invoices/{invoice['id']}/rerate")
            assert again.status_code in (200, 204), again.text
        invoices = control.get(f"/api/tenants/{tenant}/invoices").json()["data"]
    code, found = billing_verify(platform, tenant)
    assert (code, found["differences"]) == (0, [])
    this_month = datetime.fromisoformat(subscription["period_start"])
    past = [event for event in events if event.time < this_month]
    running = [event for event in events if event.time >= this_month]
    row = row_of(found, METER)
    assert (counted(row["events"]), counted(row["rollups"])) == (total(events), total(events))
    assert (counted(row["invoices"]), counted(row["upcoming"])) == (total(past), total(running))
    net = (total(past)[1] * PRICE_NANOS / 10**7).quantize(Decimal(1), ROUND_HALF_EVEN)
    lines = [line for invoice in invoices for line in invoice["lines"]]
    assert sum(line["net_minor"] for line in lines if line["meter"] == METER) == net
    issued = sum(invoice["net_minor"] for invoice in invoices if invoice["number"])
    assert [(each["net_minor"], each["booked_nanos"]) for each in found["books"]] == [(issued, issued * 10**7)]
    assert issued == net + 2 * FEE_MINOR
    return found


def billing_verify(platform: Platform, tenant: str) -> tuple[int, dict[str, Any]]:
    done = platform.command("billing", "verify", "--tenant", tenant, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def row_of(found: dict[str, Any], meter: str) -> dict[str, Any]:
    (row,) = [each for each in found["meters"] if each["meter"] == meter]
    assert row["state"] == "sold"
    return dict(row)


def counted(record: dict[str, Any]) -> tuple[int, Decimal]:
    return record["events"], Decimal(record["quantity"])


def total(events: Sequence[Reported]) -> tuple[int, Decimal]:
    return len(events), sum((event.gigabytes for event in events), Decimal(0))


def requests_are_counted_once(platform: Platform, caller: Caller, found: dict[str, Any]) -> None:
    """Requests that were answered are recorded; of those whose answer was lost, some may be."""

    async def read() -> set[str]:
        connection = await asyncpg.connect(platform.run_file()["database"])
        try:
            ids = "select event_id from usage_events where jsonb_exists(quantities, 'requests')"
            return {str(row["event_id"]) for row in await connection.fetch(ids)}
        finally:
            await connection.close()

    recorded = asyncio.run(read())
    assert len(caller.answered) > 20
    assert caller.answered <= recorded
    assert len(recorded) <= len(caller.answered) + caller.unknown
    row = row_of(found, "requests")
    assert {counted(row[name])[0] for name in ("events", "rollups", "upcoming")} == {len(recorded)}
