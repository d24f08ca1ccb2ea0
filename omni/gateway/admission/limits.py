"""Which levels a caller is checked at, as the keys and arguments of the Lua calls that hold and settle a request.

Levels come in one order: rates (GCRA), then counters of open requests, of the month's quotas, and of money.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from omni.contracts import redis_names
from omni.contracts.money import Budget, MoneySnapshot
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot
from omni.contracts.usage import COMPUTE_MS, QUOTA_METERS, REQUESTS, TOKEN_METERS
from omni.gateway.admission.events import EventTemplate
from omni.gateway.admission.refusals import (
    RATE_REQUESTS,
    RATE_TOKENS,
    RateLines,
    RequestRateLines,
    TokenRateLines,
    limit_headers,
    money_exceeded,
    open_headers,
    quota_exceeded,
    rate_exceeded,
    too_many_open,
)
from omni.gateway.admission.repeats import FIRST, MARKED, PERHAPS_AGAIN
from omni.gateway.redis.client import LINE_END, SIZES, Script, ScriptCall, bulk
from omni.gateway.redis.resp import Argument
from omni.kit.clock import month_start, next_month, unix_micros
from omni.kit.errors import LimitExceeded

MINUTE_MICROS: Final = 60_000_000
_QUOTAS: Final = (REQUESTS, COMPUTE_MS)
_REQUEST_METERS: Final = frozenset(meter for meter, quota in QUOTA_METERS.items() if quota == REQUESTS)
_COMPUTE_METERS: Final = frozenset(meter for meter, quota in QUOTA_METERS.items() if quota == COMPUTE_MS)
_COUNTER_SECONDS: Final = b"3456000"
_FOR_EVER: Final = b"0"
_DAY_MICROS: Final = 86_400_000_000


class Scripts:
    """The Lua scripts of admission, and the lease that they give."""

    def __init__(self, lease_seconds: float) -> None:
        self.lease_ms = b"%d" % int(lease_seconds * 1000)
        self.admit = Script(__package__, "admit.lua")
        self.settle = Script(__package__, "settle.lua")
        self.renew = Script(__package__, "renew.lua")
        self.extend = Script(__package__, "extend.lua")

    def all(self) -> tuple[Script, ...]:
        return self.admit, self.settle, self.renew, self.extend


@dataclass(frozen=True, slots=True)
class RateLevel:
    """A GCRA rate: `interval` µs a unit; `capacity` units may come at once."""

    what: str
    scope: str
    per_minute: int
    capacity: int
    interval: bytes
    tolerance: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class MoneyLevel:
    """A hard ceiling of spending: a budget, or the wallet's credit."""

    scope: str
    ceiling_nanos: int
    ends_at_micros: int | None
    key: bytes
    seconds: bytes


class LimitSet:
    """The levels of one caller in one period, ready to be sent. What does not change is packed once."""

    __slots__ = (
        "_admit", "_extend", "_first_holds", "_header_lines", "_hold_end", "_request_rate", "_settle",
        "_told_rates", "from_micros", "mode", "money_used", "moneys", "opens", "partition", "plan", "rates",
        "tenant_id", "until_micros",
    )  # fmt: skip

    def __init__(
        self, key: KeySnapshot, plan: PlanSnapshot, money: MoneySnapshot, at_micros: int, scripts: Scripts
    ) -> None:
        moment = datetime.fromtimestamp(at_micros / 1_000_000, UTC)
        self.plan = plan
        self.tenant_id = key.tenant_id
        self.mode = key.mode
        self.partition = redis_names.partition_of(key.tenant_id)
        self.rates = _rate_levels(key, plan)
        self.opens = _open_levels(key, plan)
        self.moneys = _money_levels(key, money, moment)
        self.money_used: list[int] = []
        """Spent and reserved at each money level, as Redis last said; empty before that."""
        self.from_micros = int(month_start(moment).timestamp()) * 1_000_000
        self.until_micros = min(
            [
                int(next_month(moment).timestamp()) * 1_000_000,
                *(m.ends_at_micros for m in self.moneys if m.ends_at_micros),
            ]
        )
        self._request_rate = next((at for at, level in enumerate(self.rates) if level.what == RATE_REQUESTS), None)
        token_rate = next((at for at, level in enumerate(self.rates) if level.what == RATE_TOKENS), None)
        self._first_holds: dict[tuple[EventTemplate, int | None], tuple[bytes, bytes, list[bytes]]] = {}
        self._header_lines: list[tuple[RateLines, int]] = [
            (lines(self.rates[at].per_minute), 1 + 2 * at)
            for at, lines in ((self._request_rate, RequestRateLines), (token_rate, TokenRateLines))
            if at is not None
        ]
        self._told_rates = max((at // 2 + 1 for _, at in self._header_lines), default=0)
        """Of so many rates the replies tell; of the quotas where there is no rate of requests, and of money."""
        opens = [level for level, _ in self.opens]
        release = b"".join(b"\n%b -1" % level for level in opens)
        corrections = b"".join(b"\n%b %%d" % level.key for level in self.moneys)
        self._hold_end = release + corrections
        quotas = _quota_keys(key.tenant_id, key.mode, moment)
        self._admit = self._admit_call(scripts, opens, quotas)
        self._settle = self._settle_call(scripts, opens, quotas)
        index, data = _names(redis_names.holds_index(self.partition), redis_names.holds_data(self.partition))
        self._extend = ScriptCall(
            scripts.extend,
            (index, data, *(level.key for level in self.moneys)),
            (scripts.lease_ms, *(b"%d" % level.ceiling_nanos for level in self.moneys)),
            4,
        )

    def _admit_call(self, scripts: Scripts, opens: list[bytes], quotas: list[bytes]) -> ScriptCall:
        plan, partition = self.plan, self.partition
        levels: list[bytes] = []
        for rate in self.rates:
            levels += [rate.interval, rate.tolerance, b"%d" % rate.capacity if rate.what == RATE_TOKENS else b""]
        for _, limit in self.opens:
            levels += [b"%d" % limit, b"1", _FOR_EVER]
        for ceiling, units in ((plan.requests_per_month, b"1"), (plan.compute_ms_per_month, b"0")):
            levels += [b"%d" % (-1 if ceiling is None else ceiling), units, _COUNTER_SECONDS]
        for money in self.moneys:
            levels += [b"%d" % money.ceiling_nanos, b"n", money.seconds]
        counters = [*opens, *quotas, *(money.key for money in self.moneys)]
        told_from = 1 + len(opens) + (0 if self._request_rate is None else len(quotas))
        named = _names(
            redis_names.counters_ready(partition), redis_names.holds_index(partition), redis_names.holds_data(partition)
        )
        keys = (*named, *(rate.key for rate in self.rates), *counters)
        sizes = (len(self.rates), len(counters), self._told_rates, told_from)
        numbers = (scripts.lease_ms, *(b"%d" % size for size in sizes))
        return ScriptCall(scripts.admit, keys, (*numbers, *levels), 4)

    def _settle_call(self, scripts: Scripts, opens: list[bytes], quotas: list[bytes]) -> ScriptCall:
        tokens = [rate for rate in self.rates if rate.what == RATE_TOKENS]
        fixed = [b"%d" % len(levels) for levels in (tokens, opens, quotas, self.moneys)]
        for rate in tokens:
            fixed += [rate.interval, b"%d" % rate.capacity]
        fixed += [_COUNTER_SECONDS] * len(quotas)
        for money in self.moneys:
            fixed += [b"%d" % money.ceiling_nanos, money.seconds]
        levels = (*(rate.key for rate in tokens), *opens, *quotas, *(money.key for money in self.moneys))
        return ScriptCall(scripts.settle, (*_settle_names(self.partition), *levels), fixed, 8 + len(quotas))

    # --- calls ---

    def admit(self, request: bytes, data: bytes, nanos: int, tokens: int) -> bytes:
        """The call that admits, packed; `data` as from `hold_data` or `first_hold`."""
        reserved, size = b"%d" % nanos, b"%d" % tokens
        return b"".join((
            self._admit.head, SIZES[len(request)], request, bulk(len(data)), data, SIZES[len(reserved)], reserved,
            SIZES[len(size)], size, LINE_END,
        ))  # fmt: skip

    def extend(self, request: bytes, data: bytes, more: int | None, nanos: int) -> bytes:
        """The call that renews a hold and reserves `more` nano-units (None = what it lacks), `nanos` in all; packed."""
        return self._extend.pack(request, data, b"" if more is None else b"%d" % more, b"%d" % nanos)

    def settle(self, last: tuple[bytes, ...]) -> bytes:
        """What of the call that settles differs from request to request, packed; `last` as from `settle_arguments`."""
        a, b, c, d, e, f, g, h, i, j = last  # written out: this is a third of the time that a loop takes
        return b"".join((
            SIZES[len(a)], a, SIZES[len(b)], b, SIZES[len(c)], c, bulk(len(d)), d, bulk(len(e)), e,
            SIZES[len(f)], f, SIZES[len(g)], g, SIZES[len(h)], h, SIZES[len(i)], i, SIZES[len(j)], j, LINE_END,
        ))  # fmt: skip

    def settle_call(self, settlement: bytes) -> bytes:
        """The whole call, from what `settle` gives."""
        return self._settle.head + settlement

    def hold_data(self, event: bytes, charged: int | None, reserved: int) -> bytes:
        """What the reaper does with a hold: writes the event, gives back the rest of what was reserved."""
        if not self.moneys:
            return b"%b\n0%b" % (event, self._hold_end)
        charged = charged or 0
        return b"%b\n%d%b" % (event, charged, self._hold_end % ((charged - reserved,) * len(self.moneys)))

    def first_hold(
        self, events: EventTemplate, request_id: bytes, at_micros: int, charged: int | None, reserved: int
    ) -> bytes:
        """As `hold_data` for a request that has just begun: it would be charged as one request."""
        known = self._first_holds.get((events, charged))
        if known is None:
            before, between, after = events.held(charged)
            amount = (charged or 0) if self.moneys else 0
            pieces = self._hold_end.split(b"%d")
            pieces[0] = b"%b\n%d%b" % (after, amount, pieces[0])
            known = self._first_holds[events, charged] = (before, between, pieces)
        before, between, pieces = known
        end = (b"%d" % ((charged or 0) - reserved)).join(pieces)
        return b"%b%b%b%d%b" % (before, request_id, between, at_micros, end)

    def settle_arguments(
        self,
        request: bytes,
        event: tuple[bytes, bytes],
        charge: int | None,
        reserved: Reserved,
        quantities: dict[str, int],
    ) -> tuple[bytes, ...]:
        """What changes in the first call that settles a request at these quantities."""
        before, after = event
        tokens = requests = compute = 0
        for meter, quantity in quantities.items():
            if meter in TOKEN_METERS:
                tokens += quantity
            elif meter in _REQUEST_METERS:
                requests += quantity
            elif meter in _COMPUTE_METERS:
                compute += quantity
        if charge is None:
            before, charged = before + after, b""
        else:
            charged = b"%d" % charge
        return (
            b"%d" % (requests - 1), b"%d" % compute, request, before, after, charged,
            b"%d" % reserved.nanos if reserved.sure else b"", FIRST if reserved.held else MARKED, b"%d" % tokens,
            b"%d" % reserved.tokens,
        )  # fmt: skip

    # --- replies ---

    def room_nanos(self, reply: list[int]) -> int | None:
        """What is left at the narrowest money level after an admission; None without any."""
        moneys = self.moneys
        if not moneys:
            return None
        self.money_used = reply[-len(moneys) :]
        room = moneys[0].ceiling_nanos - self.money_used[0]
        for level in range(1, len(moneys)):
            room = min(room, moneys[level].ceiling_nanos - self.money_used[level])
        return room

    def refusal(self, reply: list[int]) -> LimitExceeded:
        """The error for a refusing level."""
        level = reply[1]
        if level < len(self.rates):
            rate = self.rates[level]
            return rate_exceeded(rate.what, reply[2], rate.scope)
        level -= len(self.rates)
        if level < len(self.opens):
            return too_many_open(self.opens[level][1])
        level -= len(self.opens)
        now = unix_micros()
        if level < len(_QUOTAS):
            return quota_exceeded(_QUOTAS[level], self.until_micros - now)
        money = self.moneys[level - len(_QUOTAS)]
        return money_exceeded(money.scope, None if money.ends_at_micros is None else money.ends_at_micros - now)

    def headers(self, reply: list[int]) -> bytes:
        """RateLimit header lines: of the request rate where there is one, else of the quota; and of the token rate."""
        if reply[0] != 1:
            return self._refused_headers(reply)
        lines = b""
        for template, at in self._header_lines:
            lines += template.of(reply[at], reply[at + 1])
        quota = self.plan.requests_per_month
        if self._request_rate is None and quota is not None:
            lines += limit_headers(quota, quota - reply[1 + 2 * self._told_rates], self.until_micros - unix_micros())
        return lines

    def _refused_headers(self, reply: list[int]) -> bytes:
        rate = self._request_rate
        if rate is not None and reply[1] == rate:
            return limit_headers(self.rates[rate].per_minute, 0, reply[3])
        opened = reply[1] - len(self.rates)
        if 0 <= opened < len(self.opens):
            return open_headers(self.opens[opened][1])
        quota = self.plan.requests_per_month
        if rate is None and quota is not None:
            return limit_headers(quota, 0, self.until_micros - unix_micros())
        return b"ratelimit-remaining: 0\r\n"


class Reserved:
    """What a hold takes: nano-units at each money level, tokens of each token rate. `held` is False without Redis.

    `sure` is False when Redis may have reserved more or less than it said: then its hold knows.
    """

    __slots__ = ("held", "nanos", "sure", "tokens")

    def __init__(self, nanos: int, tokens: int) -> None:
        self.nanos = nanos
        self.tokens = tokens
        self.held = False
        self.sure = True


def _rate_levels(key: KeySnapshot, plan: PlanSnapshot) -> list[RateLevel]:
    burst = plan.request_burst
    wanted = (
        (RATE_REQUESTS, "plan", plan.requests_per_minute, burst),
        (RATE_TOKENS, "plan", plan.tokens_per_minute, plan.tokens_per_minute),
        (RATE_REQUESTS, "key", key.requests_per_minute, key.requests_per_minute),
        (RATE_TOKENS, "key", key.tokens_per_minute, key.tokens_per_minute),
    )
    levels = []
    for what, scope, per_minute, capacity in wanted:
        if per_minute is None:
            continue
        # A rate of nothing refuses by a tolerance that no unit fits into.
        interval = MINUTE_MICROS / per_minute if per_minute > 0 else float(MINUTE_MICROS)
        units = max(1, capacity or 0)
        tolerance = math.ceil(interval * units) if per_minute > 0 else -1
        name = redis_names.rate_key(key.tenant_id, what, key.key_id if scope == "key" else None).encode("ascii")
        levels.append(RateLevel(what, scope, per_minute, units, b"%.6f" % interval, b"%d" % tolerance, name))
    return levels


def _open_levels(key: KeySnapshot, plan: PlanSnapshot) -> list[tuple[bytes, int]]:
    wanted = ((key.tenant_id, plan.concurrent_requests), (key.key_id, key.concurrent_requests))
    return [
        (redis_names.open_key(scope, key.tenant_id).encode("ascii"), limit)
        for scope, limit in wanted
        if limit is not None
    ]


def _money_levels(key: KeySnapshot, money: MoneySnapshot, moment: datetime) -> list[MoneyLevel]:
    if key.mode != "live":
        return []
    mine = {key.tenant_id, key.project_id, key.key_id}
    levels = [_budget_level(key, budget, moment) for budget in money.budgets if budget.hard and budget.scope_id in mine]
    if money.credit_nanos is not None:
        wallet = Budget("tenant", key.tenant_id, "all", money.credit_nanos, hard=True)
        levels.append(_budget_level(key, wallet, moment, scope="wallet"))
    tightest: dict[bytes, MoneyLevel] = {}
    for level in levels:  # a wallet and a budget without period count in one counter: the lower ceiling holds
        known = tightest.get(level.key)
        if known is None or level.ceiling_nanos < known.ceiling_nanos:
            tightest[level.key] = level
    return list(tightest.values())


def _budget_level(key: KeySnapshot, budget: Budget, moment: datetime, scope: str | None = None) -> MoneyLevel:
    period, ends_at = period_of(budget.period, moment)
    name = redis_names.spend_key(budget.scope_id, key.tenant_id, key.mode, period).encode("ascii")
    seconds = _FOR_EVER if ends_at is None else _COUNTER_SECONDS
    return MoneyLevel(scope or budget.scope, budget.limit_nanos, ends_at, name, seconds)


def period_of(period: str, moment: datetime) -> tuple[str, int | None]:
    """The name of the period that `moment` is in (as in `redis_names.spend_key`) and its end, Unix microseconds."""
    if period == "month":
        return moment.strftime("%Y%m"), int(next_month(moment).timestamp()) * 1_000_000
    if period == "day":
        start = int(moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1_000_000
        return moment.strftime("%Y%m%d"), start + _DAY_MICROS
    return "all", None


def _quota_keys(tenant_id: UUID, mode: str, moment: datetime) -> list[bytes]:
    month = moment.strftime("%Y%m")
    return [redis_names.quota_key(tenant_id, mode, month, meter).encode("ascii") for meter in _QUOTAS]


def _names(*names: str) -> tuple[bytes, ...]:
    return tuple(name.encode("ascii") for name in names)


def _settle_names(partition: int) -> tuple[bytes, ...]:
    return _names(
        redis_names.holds_index(partition), redis_names.holds_data(partition), redis_names.usage_stream(partition),
        redis_names.reaped(partition),
    )  # fmt: skip


def appended_only(partition: int, request: bytes, event: bytes) -> Sequence[Argument]:
    """Number of keys, keys and arguments of a settlement that appends an event and counts nothing."""
    none = (b"0",) * 4
    return (b"4", *_settle_names(partition), *none, request, event, b"", b"", b"0", PERHAPS_AGAIN, b"0", b"0")
