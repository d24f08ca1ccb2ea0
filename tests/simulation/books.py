"""What must be true: an account of every request that is kept beside the scripts, and compared after each of them.

The account knows only what was asked, what was decided and which events came out; it shares no arithmetic with the
scripts. While Redis has lost nothing it must agree with every counter, to the unit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from omni.contracts import redis_names
from omni.contracts.usage import COMPUTE_MS, REQUESTS, SPEND_NANOS, TOKEN_METERS, WRITTEN_OFF_NANOS, UsageEvent
from omni.domains.metering.rules.stream import parse_event, roll_up
from omni.gateway.access.auth import Caller
from omni.gateway.admission.limits import LimitSet, RateLevel, Reserved
from tests.simulation.clock import MICROS, Clock
from tests.simulation.postgres import SimPostgres
from tests.simulation.redis import JOURNAL_MICROS, SimRedis

_WINDOW = 64
_RESENT_MS = 4_000
_ROUNDING = 1e-3


class Violation(AssertionError):
    """Something that must always hold does not."""


class Asked:
    """A request and what became of it."""

    def __init__(self, request_id: UUID, gateway: int, caller: Caller, at_micros: int, reserved: Reserved) -> None:
        self.id = request_id
        self.hex = request_id.hex.encode()
        self.gateway = gateway
        self.limits: LimitSet = caller.limits(at_micros)
        month = datetime.fromtimestamp(at_micros / MICROS, UTC).strftime("%Y%m")
        key = caller.key
        self.quotas = [
            redis_names.quota_key(key.tenant_id, key.mode, month, meter).encode() for meter in (REQUESTS, COMPUTE_MS)
        ]
        self.nanos, self.tokens = reserved.nanos, reserved.tokens
        self.admitted = False
        """By Redis: there was a hold."""
        self.admitted_at = 0
        """By the true clock, Unix microseconds."""
        self.refused = False
        """By its gateway, which may not have heard that Redis admitted it."""
        self.waiting = False
        """Its gateway knows of the hold and keeps it."""
        self.served = False
        """Its usage is recorded, says the gateway."""
        self.held_nanos = 0
        """What its hold has reserved now."""
        self.extended: list[tuple[int, int]] = []
        """When, and by how much."""
        self.status: int | None = None
        self.used: dict[str, int] = {}
        self.price = 0

    def settles(self, status: int, used: dict[str, int], price: int | None) -> None:
        """Its gateway begins to settle it."""
        self.waiting = False
        self.status, self.used, self.price = status, dict(used), price or 0


class Books:
    """The account."""

    def __init__(self, clock: Clock, redis: SimRedis, postgres: SimPostgres) -> None:
        self._clock = clock
        self._redis = redis
        self._postgres = postgres
        self.asked: dict[bytes, Asked] = {}
        self.truth: dict[bytes, UsageEvent] = {}
        self.exact = True
        """False once Redis has lost something: then only what is left of the promises is checked."""
        self.lost: dict[bytes, int] = {}
        """How far counters fell behind when Redis lost something."""
        self.excused: set[bytes] = set()
        """Requests of which Redis lost what only it had."""
        self._counters: dict[bytes, int] = {}
        self._arrivals: dict[bytes, int] = {}
        self._admissions: dict[bytes, deque[int]] = {}
        self._held_before: set[bytes] = set()
        self._refusing: int | None = None
        self._settled_at_ms: dict[bytes, int] = {}
        self._half_lost: set[bytes] = set()
        """Requests that were under way when Redis lost something, or a second before."""
        self.decided = 0

    def forget_rates(self) -> None:
        """The clock jumped or Redis lost something: windows over it prove nothing."""
        self._admissions.clear()
        self._arrivals = {key: at for key, at in self._arrivals.items() if self._redis.get(key) is not None}

    def losing(self, work: Callable[[], object]) -> object:
        """Redis loses something: from now on it may be behind, by what is written down here."""
        self._excuse_undrained()
        self.exact = False
        since = self._clock.true_micros() - JOURNAL_MICROS
        self._half_lost |= {
            each
            for each, asked in self.asked.items()
            if asked.admitted_at >= since or self._settled_at_ms.get(each, since) * 1000 >= since
        }
        for asked in self.asked.values():
            more = sum(units for at, units in asked.extended if at >= since)
            for money in asked.limits.moneys:
                self.lost[money.key] = self.lost.get(money.key, 0) + more
        return self.falling(work)

    def falling(self, work: Callable[[], Any]) -> Any:
        """Counters may be lower afterwards: a rebuild sees only what is drained."""
        moneys = {money.key for asked in self.asked.values() for money in asked.limits.moneys}
        before = {key: self._redis.integer(key) for key in sorted(moneys)}
        result = work()
        self.forget_rates()
        for key, units in before.items():
            self.lost[key] = self.lost.get(key, 0) + max(0, units - self._redis.integer(key))
        return result

    def _excuse_undrained(self) -> None:
        """A gateway sends the last five seconds again; what waits for the drain longer is lost with an empty Redis."""
        old = self._clock.true_micros() // 1000 - _RESENT_MS
        for partition in range(redis_names.PARTITIONS):
            for raw in self._redis.table(redis_names.usage_stream(partition).encode()).values():
                each = parse_event(raw).event_id.hex.encode()
                if self._settled_at_ms.get(each, 0) < old:
                    self.excused.add(each)

    # --- around a script ---

    def before(self, script: str, asked: Asked | None, partition: int) -> None:
        self._held_before = set(self._redis.table(redis_names.holds_index(partition).encode()))
        if script == "admit" and asked is not None:
            self._refusing = self._first_refusing(asked)

    def after(self, script: str, asked: Asked | None, partition: int, reply: object, more: int = 0) -> None:
        """Raises Violation."""
        index = self._redis.table(redis_names.holds_index(partition).encode())
        if set(index) != set(self._redis.table(redis_names.holds_data(partition).encode())):
            raise Violation("holds and their data differ")
        if script == "admit" and asked is not None:
            assert isinstance(reply, list)
            self._admitted(asked, reply)
        elif script == "extend" and asked is not None:
            self._extended(asked, reply, more)
        gone = [self.asked[each] for each in sorted(self._held_before - set(index))]
        for each in gone:
            self._released(each, settled=script == "settle")
        if asked is not None:
            gone.append(asked)
        for each in gone:
            self._compare(each)

    def _first_refusing(self, asked: Asked) -> int | None:
        """The level that has to refuse; None when there is room everywhere."""
        limits, now = asked.limits, self._clock.redis_micros()
        for position, level in enumerate(limits.rates):
            arrival = max(self._arrivals.get(level.key, 0), now)
            units = min(asked.tokens, level.capacity) if level.what == "tpm" else 1
            if arrival + _micros(level, units) - _tolerance(level) > now:
                return position
        position = len(limits.rates)
        for key, ceiling, units in _counted(asked):
            used = self._counters.get(key, 0)
            if ceiling is not None and (used >= ceiling or used + units > ceiling):
                return position
            position += 1
        return None

    def _admitted(self, asked: Asked, reply: list[int]) -> None:
        if reply[0] == -1:
            return
        self.decided += 1
        refused = None if reply[0] == 1 else reply[1]
        if self.exact and refused != self._refusing:
            raise Violation(f"admission: refused at {refused}, the account says {self._refusing}")
        if refused is not None:
            return
        asked.admitted, asked.admitted_at = True, self._clock.true_micros()
        asked.held_nanos = asked.nanos if asked.limits.moneys else 0
        now = self._clock.redis_micros()
        for level in asked.limits.rates:
            units = min(asked.tokens, level.capacity) if level.what == "tpm" else 1
            if units:
                self._arrivals[level.key] = max(self._arrivals.get(level.key, 0), now) + _micros(level, units)
            if level.what == "rpm":
                self._check_window(level, now)
        for key, _, units in _counted(asked):
            self._counters[key] = self._counters.get(key, 0) + units

    def _check_window(self, level: RateLevel, now: int) -> None:
        times = self._admissions.setdefault(level.key, deque(maxlen=_WINDOW))
        times.append(now)
        for back, since in enumerate(reversed(times), 1):
            if back > level.capacity + (now - since) * level.per_minute / (60 * MICROS) + _ROUNDING:
                raise Violation(f"{back} requests in {now - since} µs at {level.per_minute} a minute")

    def _extended(self, asked: Asked, reply: object, more: int) -> None:
        was_held = asked.hex in self._held_before
        short = [m for m in asked.limits.moneys if self._counters.get(m.key, 0) + more > m.ceiling_nanos]
        expected = -1 if not was_held else 0 if more > 0 and short else 1
        if self.exact and reply != expected:
            raise Violation(f"extension: {reply}, the account says {expected}")
        if reply == 1 and more:
            asked.held_nanos += more
            asked.extended.append((self._clock.true_micros(), more))
            for money in asked.limits.moneys:
                self._counters[money.key] = self._counters.get(money.key, 0) + more

    def _released(self, asked: Asked, *, settled: bool) -> None:
        reserved, asked.held_nanos = asked.held_nanos, 0
        for key, _ in asked.limits.opens:
            self._counters[key] = self._counters.get(key, 0) - 1
        self._counters[asked.quotas[0]] = self._counters.get(asked.quotas[0], 0) - 1
        for money in asked.limits.moneys:
            self._counters[money.key] = self._counters.get(money.key, 0) - reserved
        if settled:
            now = self._clock.redis_micros()
            tokens = sum(quantity for meter, quantity in asked.used.items() if meter in TOKEN_METERS)
            for level in asked.limits.rates:
                if level.what == "tpm" and (units := tokens - min(asked.tokens, level.capacity)):
                    self._arrivals[level.key] = max(self._arrivals.get(level.key, 0), now) + _micros(level, units)

    def event(self, raw: bytes) -> None:
        """An event was appended to the stream. Raises Violation."""
        try:
            event = parse_event(raw)
        except ValueError as error:
            raise Violation(f"an event that nobody can read: {error}") from None
        asked = self.asked.get(event.event_id.hex.encode())
        if asked is None:
            raise Violation("an event of a request that nobody sent")
        known = self.truth.get(asked.hex)
        if known is not None and (event.status == 0 or known.status != 0):
            if self.exact and event.status != 0 and known.quantities != event.quantities:
                raise Violation(f"two events of one request differ: {known.quantities} and {event.quantities}")
            return
        if self.exact and event.status != 0:
            spent = event.quantities.get(SPEND_NANOS, 0) + event.quantities.get(WRITTEN_OFF_NANOS, 0)
            if spent != asked.price:
                raise Violation(f"charged and written off {spent}, the price is {asked.price}")
        self.truth[asked.hex] = event
        self._settled_at_ms[asked.hex] = self._clock.true_micros() // 1000
        before = known.quantities if known is not None else {}
        for key, meter in self._counts(asked):
            gained = event.quantities.get(meter, 0) - before.get(meter, 0)
            self._counters[key] = self._counters.get(key, 0) + gained

    def _counts(self, asked: Asked) -> list[tuple[bytes, str]]:
        moneys = [(money.key, SPEND_NANOS) for money in asked.limits.moneys]
        return [(asked.quotas[0], REQUESTS), (asked.quotas[1], COMPUTE_MS), *moneys]

    # --- comparing ---

    def _compare(self, asked: Asked) -> None:
        for key, _ in asked.limits.opens:
            self._equal("open requests", key, self._open_now(key))
        for key, _, _ in _counted(asked):
            if self._redis.integer(key) < 0:
                raise Violation(f"{key.decode()} is {self._redis.integer(key)}")
        if not self.exact:
            return
        for key in asked.quotas:
            self._equal("a quota", key, self._counters.get(key, 0))
        for money in asked.limits.moneys:
            self._equal("spending", money.key, self._counters.get(money.key, 0))
            if self._redis.integer(money.key) > money.ceiling_nanos:
                raise Violation(f"{money.key.decode()} is over its ceiling {money.ceiling_nanos}")
        now = self._clock.redis_micros()
        for level in asked.limits.rates:
            arrival = self._redis.get(level.key)
            expected = self._arrivals.get(level.key, 0)
            if expected > now if arrival is None else int(arrival) != expected:
                raise Violation(f"{level.key.decode()} is {arrival!r}, the account says {expected}")

    def _open_now(self, key: bytes) -> int:
        holds = (
            self.asked[each]
            for partition in range(redis_names.PARTITIONS)
            for each in self._redis.table(redis_names.holds_index(partition).encode())
        )
        return sum(key == name for asked in holds for name, _ in asked.limits.opens)

    def _equal(self, what: str, key: bytes, expected: int) -> None:
        if (found := self._redis.integer(key)) != expected:
            raise Violation(f"{what}: {key.decode()} is {found}, the account says {expected}")

    # --- at the end ---

    def close(self, moment: datetime, alive: set[int]) -> None:
        """When nothing is under way any more. Raises Violation."""
        stored = self._postgres.events
        if self._postgres.rejects:
            raise Violation(f"rejected: {self._postgres.rejects[0]}")
        for partition in range(redis_names.PARTITIONS):
            if self._redis.table(redis_names.holds_index(partition).encode()):
                raise Violation("something is held for ever")
        for asked in self.asked.values():
            event = stored.get(asked.id)
            gone = asked.refused or asked.gateway not in alive
            if asked.hex in self.excused or (gone and not self.exact):
                continue  # only Redis had it, and lost it
            if event is not None:
                self._check_event(asked, event)
            elif asked.admitted or asked.served:
                raise Violation(f"request {asked.hex.decode()} was admitted and has no event")
        totals = {key: value for key, value in self._postgres.rollups.items() if value != (0, 0)}
        if totals != roll_up(stored.values()):
            raise Violation("the rollups are not the sum of the events")
        self._check_sums((f"{moment:%Y%m}", f"{moment:%Y%m%d}", "all"))

    def _check_event(self, asked: Asked, event: UsageEvent) -> None:
        if self.exact and event != self.truth.get(asked.hex):
            raise Violation(f"stored is {event}, counted was {self.truth.get(asked.hex)}")
        if asked.served and event.status != asked.status:
            raise Violation(f"settled with {asked.status}, recorded as {event.status}")
        if asked.served:
            money = (SPEND_NANOS, WRITTEN_OFF_NANOS)
            if {meter: n for meter, n in event.quantities.items() if meter not in money} != asked.used:
                raise Violation(f"used {asked.used}, recorded {event.quantities}")

    def _check_sums(self, periods: tuple[str, ...]) -> None:
        sums: dict[bytes, int] = {}
        ceilings: dict[bytes, int] = {}
        for asked in self.asked.values():
            event = self._postgres.events.get(asked.id)
            ceilings |= {money.key: money.ceiling_nanos for money in asked.limits.moneys}
            for key, meter in self._counts(asked):
                sums[key] = sums.get(key, 0) + (0 if event is None else event.quantities.get(meter, 0))
            for key, _ in asked.limits.opens:
                sums[key] = 0
        for asked in (self.asked[each] for each in sorted(self._half_lost)):
            for money in asked.limits.moneys:
                self.lost[money.key] = self.lost.get(money.key, 0) + asked.price
        for key, ceiling in ceilings.items():
            if sums[key] > ceiling + self.lost.get(key, 0):
                raise Violation(f"{key.decode()}: {sums[key]} was charged, the ceiling is {ceiling}")
        for key, total in sorted(sums.items()):
            found = self._redis.integer(key)
            current = self.exact or any(part in periods for part in key.decode().split(":"))
            # What comes again after a loss may count for more than is stored: too much is safe, too little is not.
            if current and (found < total or (found > total and self.exact)):
                raise Violation(f"at the end: {key.decode()} is {found}, the account says {total}")


def _counted(asked: Asked) -> list[tuple[bytes, int | None, int]]:
    """The counters of a request: key, ceiling, and what an admission takes."""
    limits, plan = asked.limits, asked.limits.plan
    return [
        *((key, limit, 1) for key, limit in limits.opens),
        (asked.quotas[0], plan.requests_per_month, 1),
        (asked.quotas[1], plan.compute_ms_per_month, 0),
        *((money.key, money.ceiling_nanos, asked.nanos) for money in limits.moneys),
    ]


def _micros(level: RateLevel, units: int) -> int:
    interval = round(60 * MICROS / level.per_minute, 6) if level.per_minute else 60 * MICROS
    return math.ceil(interval * units)


def _tolerance(level: RateLevel) -> int:
    return math.ceil(60 * MICROS / level.per_minute * level.capacity) if level.per_minute else -1
