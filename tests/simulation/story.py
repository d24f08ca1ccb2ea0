"""One seed from start to end: customers ask, things break, everything comes to rest, and the books are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from unittest.mock import patch
from uuid import UUID

from redis.exceptions import RedisError

from omni.contracts import redis_names
from omni.contracts.money import Budget, MoneySnapshot
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot, TenantSnapshot
from omni.contracts.usage import COMPUTE_MS, INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS
from omni.domains.metering.service import stream as metering
from omni.gateway.access.auth import Caller
from omni.gateway.admission.events import EventTemplate, Outcome
from omni.gateway.admission.ledger import Refused, Ticket
from omni.gateway.admission.limits import Reserved, Scripts
from tests.simulation.books import Asked, Violation
from tests.simulation.clock import MICROS
from tests.simulation.faults import Plant
from tests.simulation.gateways import SimGateway
from tests.simulation.world import LEASE_SECONDS, PARTITIONS, Shared, World

LIVELY_SECONDS = 30.0
REST_SECONDS = 90.0
RECONNECT_SECONDS = 6.0
_GATEWAYS = 3
_FARTHEST_JUMP_SECONDS = 180
_STATUSES = (200, 200, 200, 200, 200, 400, 499, 502)


@dataclass(frozen=True, slots=True)
class Told:
    """What a seed came to."""

    seed: int
    digest: str
    trace: list[str]
    failure: str | None
    virtual_seconds: float
    decided: int


def run(seed: int, shared: Shared, plant: Plant | None = None) -> Told:
    """Plays one seed. The same seed tells the same story, to the byte."""
    plant = plant or Plant()
    world = World(seed, shared, plant)
    with _scaled(world), plant.patched():
        try:
            world.loop.run_until_complete(_Story(world).play())
        except Violation as error:
            world.fail(error)
        finally:
            world.loop.close()
    failure = None if world.failure is None else f"{type(world.failure).__name__}: {world.failure}"
    return Told(seed, world.digest(), world.trace, failure, world.clock.seconds, world.books.decided)


@contextmanager
def _scaled(world: World) -> Iterator[None]:
    """Metering on the simulated PostgreSQL, and fewer partitions."""
    with patch.object(metering, "repository", world.postgres), patch.object(redis_names, "PARTITIONS", PARTITIONS):
        yield


class _Story:
    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        self._callers = _callers(world.random, world.scripts)
        self._open = 0
        self._drain = metering.Drain(world.worker, world.postgres.session, "one")  # type: ignore[arg-type]
        self._counters = metering.Counters(world.worker)  # type: ignore[arg-type]

    async def play(self) -> None:
        world = self._world
        for number in range(PARTITIONS):
            world.redis.transaction((b"SET", redis_names.counters_ready(number).encode(), b"1"))
        await self._drain.prepare()
        for _ in range(_GATEWAYS):
            self._start_gateway()
        work = [self._break_things(), self._drain_for_ever(), self._reap_for_ever(), self._reconcile_for_ever()]
        tasks = [world.loop.create_task(each) for each in work]
        await self._until(LIVELY_SECONDS)
        world.quiet = True
        world.redis_up = True
        self._jump(_FARTHEST_JUMP_SECONDS)  # what is idle by a clock that was ahead has to become due
        await self._until(LIVELY_SECONDS + REST_SECONDS, self._is_at_rest)
        for task in tasks:
            task.cancel()
        for gateway in world.gateways:
            await gateway.die()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                world.fail(outcome)
        if world.failure is None:
            await self._settle_counters()
            world.books.close(world.clock.moment(), world.alive)

    async def _until(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        world = self._world
        while world.clock.seconds < seconds and world.failure is None and not enough():
            await asyncio.sleep(0.2)

    def _is_at_rest(self) -> bool:
        """Nobody is served, nothing is held, and every event is where it belongs."""
        world = self._world
        if world.clock.seconds < LIVELY_SECONDS + RECONNECT_SECONDS:
            return False
        holds = [world.redis.table(redis_names.holds_index(number).encode()) for number in range(PARTITIONS)]
        return not (self._open or world.disk.files or any(holds) or any(self._streams()))

    def _streams(self) -> list[dict[bytes, bytes]]:
        return [self._world.redis.table(redis_names.usage_stream(number).encode()) for number in range(PARTITIONS)]

    # --- gateways and their customers ---

    def _start_gateway(self) -> None:
        world = self._world
        gateway = SimGateway(world, len(world.gateways), world.disk)
        world.gateways.append(gateway)
        world.alive.add(gateway.number)
        world.note(f"gateway {gateway.number}")
        gateway.start()
        gateway.run(self._customers_of(gateway))

    async def _customers_of(self, gateway: SimGateway) -> None:
        mean = self._random.choice((0.15, 0.4, 1.0))
        callers = [Caller(each.known, self._world.scripts) for each in self._callers]
        while not self._world.quiet:
            await self._world.pause(mean)
            gateway.run(self._request(gateway, self._random.choice(callers)))

    async def _request(self, gateway: SimGateway, caller: Caller) -> None:
        self._open += 1
        try:
            await self._ask(gateway, caller)
        finally:
            self._open -= 1

    async def _ask(self, gateway: SimGateway, caller: Caller) -> None:
        world, random = self._world, self._random
        at_micros = world.clock.true_micros() + gateway.skew_micros
        limits = caller.limits(at_micros)
        tokens = random.choice((0, 5, 20, 60))
        reserved = Reserved(500 + 1_000 * tokens if limits.moneys else 0, tokens)
        request_id = world.new_id()
        asked = Asked(request_id, gateway.number, caller, at_micros, reserved)
        world.books.asked[asked.hex] = asked
        events = EventTemplate(caller.key, "POST /v1/chat/completions")
        try:
            ticket = await gateway.ledger.admit(limits, events, str(request_id), at_micros, reserved)
        except Refused as refused:
            world.note(f"refused {asked.hex.decode()} {refused.error.code}")
            asked.refused = True
            return
        asked.waiting = reserved.held
        try:
            await self._serve(gateway, ticket, asked)
        finally:
            gateway.ledger.abandon(ticket)

    async def _serve(self, gateway: SimGateway, ticket: Ticket, asked: Asked) -> None:
        random, streams = self._random, self._random.random() < 0.25
        written = 0
        for _ in range(random.randrange(2, 8) if streams else 0):
            await self._world.pause(0.6)
            written += random.randrange(12)
            so_far = Outcome(0, {REQUESTS: 1, OUTPUT_TOKENS: written})
            wanted = 500 + 3_000 * (written + random.randrange(12))
            if not await gateway.ledger.extend(ticket, so_far, random.choice((0, wanted))):
                break
        if not streams:
            await self._world.pause(random.choice((0.05, 0.5, 4.0)))
        outcome = _outcome(random, asked.tokens, written)
        asked.settles(outcome.status, outcome.quantities, gateway.ledger.price(ticket, outcome))
        await gateway.ledger.settle(ticket, outcome)
        asked.served = True
        self._world.note(f"served {asked.hex.decode()}")

    # --- the worker ---

    async def _drain_for_ever(self) -> None:
        mean = self._random.choice((0.1, 0.5)) if self._world.faults.flushes else self._random.choice((0.1, 1.0, 3.0))
        while True:
            await self._world.pause(mean)
            await self._drain_round(claim=self._world.quiet)

    async def _drain_round(self, *, claim: bool) -> None:
        """Reads, and sometimes dies: before it stores, or before it acknowledges."""
        with suppress(RedisError):
            entries = await self._drain.read(self._random.choice((2, 20, 2_000)), 0)
            dies = "" if self._world.quiet else self._random.choice(("", "", "", "", "reading", "acknowledging"))
            if dies == "reading":
                return
            if claim or self._random.random() < 0.1:
                entries += await self._drain.claim_abandoned(2_000)
            if dies == "acknowledging":
                self._world.worker.hang_up_before(b"XACK")
            if entries:
                drained = await self._drain.store(entries)
                self._world.note(f"drained {drained.new} {drained.duplicate} {drained.rejected}")

    async def _reap_for_ever(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            with suppress(RedisError):
                await self._counters.reap()

    async def _reconcile_for_ever(self) -> None:
        """Rebuilds what is missing at once; mends counters now and then."""
        world = self._world
        while True:
            await asyncio.sleep(1.0)
            with suppress(RedisError):
                if missing := await self._counters.partitions_not_ready():
                    await self._counters.rebuild(world.postgres, missing, world.clock.moment())  # type: ignore[arg-type]
                    world.note(f"rebuilt {missing}")
                # Too much is counted when a counter is raised while a correction of the reaper's event is not drained.
                if self._random.random() < 0.1 and not any(self._streams()):
                    await self._settle_counters()

    async def _settle_counters(self) -> None:
        await self._counters.raise_to_truth(self._world.postgres, self._world.clock.moment())  # type: ignore[arg-type]

    # --- what breaks ---

    async def _break_things(self) -> None:
        world, faults = self._world, self._world.faults
        everything = faults.crashes + faults.jumps + faults.outages
        while everything:
            await world.pause(60 / everything)
            if world.quiet:
                return
            drawn = self._random.uniform(0, everything)
            if drawn < faults.crashes:
                await self._crash()
            elif drawn < faults.crashes + faults.jumps:
                self._jump(self._random.randrange(-_FARTHEST_JUMP_SECONDS, _FARTHEST_JUMP_SECONDS))
            else:
                await self._outage()

    async def _crash(self) -> None:
        world = self._world
        number = self._random.choice(sorted(world.alive))
        gateway = world.gateways[number]
        world.alive.discard(number)
        world.note(f"crash {number}")
        await gateway.die()
        await world.pause(1.0)
        self._start_gateway()

    def _jump(self, seconds: int) -> None:
        """Redis' clock is off by so much from now on."""
        world = self._world
        world.books.forget_rates()
        world.clock.jumped_micros = seconds * MICROS
        world.jumped_at = world.clock.seconds
        world.books.forget_rates()
        world.note(f"jump {world.clock.jumped_micros}")

    async def _outage(self) -> None:
        world, random = self._world, self._random
        world.redis_up = False
        for gateway in world.gateways:
            gateway.line.cut()
        world.note("redis down")
        ways = ["kept", *(["rewound"] if world.faults.rewinds else []), *(["flushed"] if world.faults.flushes else [])]
        way = random.choice(ways)
        if way == "rewound":
            lost = world.books.losing(lambda: world.redis.rewind(world.clock.true_micros() - random.randrange(MICROS)))
            world.note(f"rewound {lost}")
        elif way == "flushed":
            world.books.losing(world.redis.flush)
            world.note("flushed")
        await asyncio.sleep(random.choice((0.3, 2.0, 8.0)))
        world.redis_up = True
        world.note("redis up")


def _outcome(random: Random, tokens: int, written: int) -> Outcome:
    status = random.choice(_STATUSES)
    if status == 502:
        return Outcome(status, {})
    if status == 400:
        return Outcome(status, {REQUESTS: 1})
    quantities = {REQUESTS: 1, INPUT_TOKENS: int(tokens * random.choice((0.05, 0.5, 1.0, 1.0, 3.0)))}
    if written:
        quantities[OUTPUT_TOKENS] = written
    if random.random() < 0.3:
        quantities[COMPUTE_MS] = random.randrange(200)
    return Outcome(status, quantities, "", random.randrange(1_000))


def _callers(random: Random, scripts: Scripts) -> list[Caller]:
    """Two tenants in two partitions, two keys each, with limits of every kind, tight and loose."""
    found: list[Caller] = []
    for number in range(2):
        tenant_id = next(
            each for each in (UUID(int=random.getrandbits(128)) for _ in range(64))
            if redis_names.partition_of(each) == number
        )  # fmt: skip
        plan = PlanSnapshot(
            "plan",
            requests_per_minute=random.choice((None, 60, 600)),
            request_burst=random.choice((1, 5, 30)),
            tokens_per_minute=random.choice((None, 3_000, 60_000)),
            requests_per_month=random.choice((None, 40, 1_000)),
            compute_ms_per_month=random.choice((None, 1_000)),
            storage_bytes=None,
            models=None,
            concurrent_requests=random.choice((None, 3, 20)),
        )
        keys = [
            KeySnapshot(
                UUID(int=random.getrandbits(128)), tenant_id, UUID(int=random.getrandbits(128)), "live",
                frozenset(["*"]), (), None, revoked=False, requests_per_minute=random.choice((None, 120)),
                tokens_per_minute=random.choice((None, 6_000)), concurrent_requests=random.choice((None, 2)),
            )
            for _ in range(2)
        ]  # fmt: skip
        keys[1] = replace(keys[1], project_id=random.choice((keys[0].project_id, keys[1].project_id)))
        money = _money(random, keys)
        tenant = TenantSnapshot(tenant_id, "plan", active=True)
        found += [Caller((key, tenant, plan, money, {}), scripts) for key in keys]
    return found


def _money(random: Random, keys: list[KeySnapshot]) -> MoneySnapshot:
    tenant_id, budgets = keys[0].tenant_id, []
    scopes = [("tenant", tenant_id), ("project", keys[0].project_id), ("key", keys[0].key_id), ("key", keys[1].key_id)]
    for scope, scope_id in scopes:
        if random.random() < 0.5:
            limit = random.choice((100_000, 400_000, 2_000_000))
            budgets.append(Budget(scope, scope_id, random.choice(("day", "month", "all")), limit, hard=True))  # type: ignore[arg-type]
    credit = random.choice((None, None, 300_000, 1_500_000))
    return MoneySnapshot(tenant_id, tuple(budgets), credit)


__all__ = ["LEASE_SECONDS", "Told", "run"]
