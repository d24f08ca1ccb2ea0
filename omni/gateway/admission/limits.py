"""Which levels a caller is checked at, as the keys and arguments of the Lua calls that hold and settle a request.

Levels come in one order: rates (GCRA), then counters of open requests, of the month's quotas, and of money.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from omni.contracts import redis_names
from omni.contracts.money import Budget, MoneySnapshot
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot
from omni.contracts.usage import COMPUTE_MS, REQUESTS, TOKEN_METERS
from omni.gateway.admission.refusals import (
    RATE_REQUESTS,
    RATE_TOKENS,
    limit_headers,
    money_exceeded,
    quota_exceeded,
    rate_exceeded,
    token_limit_headers,
    too_many_open,
)
from omni.gateway.admission.repeats import FIRST, MARKED
from omni.gateway.redis.client import Script
from omni.gateway.redis.resp import Argument
from omni.kit.clock import month_start, next_month, unix_micros
from omni.kit.errors import LimitExceeded

MINUTE_MICROS = 60_000_000
_QUOTAS = (REQUESTS, COMPUTE_MS)
_COUNTER_SECONDS = b"3456000"
_FOR_EVER = b"0"
_DAY_MICROS = 86_400_000_000


class Scripts:
    """The Lua scripts of admission."""

    def __init__(self) -> None:
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
    """The levels of one caller in one period, ready to be sent."""

    __slots__ = (
        "_admit_levels",
        "_keys_admit",
        "_keys_settle",
        "_quota_at",
        "_release",
        "_request_rate",
        "_settle_counts",
        "_token_rate",
        "_token_rates",
        "_units_at",
        "from_micros",
        "mode",
        "money_used",
        "moneys",
        "opens",
        "partition",
        "plan",
        "rates",
        "tenant_id",
        "until_micros",
    )  # fmt: skip

    def __init__(self, key: KeySnapshot, plan: PlanSnapshot, money: MoneySnapshot, at_micros: int) -> None:
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
        self._token_rates = [level for level in self.rates if level.what == RATE_TOKENS]
        self._request_rate = next((level for level in self.rates if level.what == RATE_REQUESTS), None)
        self._token_rate = self._token_rates[0] if self._token_rates else None
        self._prepare(_quota_keys(key.tenant_id, key.mode, moment))

    def _prepare(self, quotas: list[bytes]) -> None:
        plan, partition = self.plan, self.partition
        levels: list[Argument] = []
        self._units_at: list[tuple[int, int]] = []
        for level in self.rates:
            if level.what == RATE_TOKENS:
                self._units_at.append((len(levels) + 2, level.capacity))
            levels += [level.interval, level.tolerance, b"1"]
        for _, limit in self.opens:
            levels += [b"%d" % limit, b"1", _FOR_EVER]
        for ceiling, units in ((plan.requests_per_month, b"1"), (plan.compute_ms_per_month, b"0")):
            levels += [b"%d" % (-1 if ceiling is None else ceiling), units, _COUNTER_SECONDS]
        self._quota_at = len(self.opens)
        for money in self.moneys:
            levels += [b"%d" % money.ceiling_nanos, b"0", money.seconds]
        self._admit_levels = levels
        opens = [key for key, _ in self.opens]
        moneys = [money.key for money in self.moneys]
        index, data = redis_names.holds_index(partition), redis_names.holds_data(partition)
        self._keys_admit = _with_count(
            redis_names.counters_ready(partition),
            index,
            data,
            *(level.key for level in self.rates),
            *opens,
            *quotas,
            *moneys,
        )
        tokens = [level.key for level in self._token_rates]
        self._keys_settle = _with_count(
            index,
            data,
            redis_names.usage_stream(partition),
            redis_names.reaped(partition),
            *tokens,
            *opens,
            *quotas,
            *moneys,
        )
        counts = (len(tokens), len(opens), len(quotas), len(moneys))
        self._settle_counts: tuple[bytes, ...] = tuple(b"%d" % count for count in counts)
        self._release = b"".join(b"\n%b -1" % key for key in opens)

    # --- arguments ---

    def admit_args(self, request: bytes, lease_ms: bytes, data: bytes, nanos: int, tokens: int) -> tuple[Argument, ...]:
        """Keys and arguments of the call that admits; `data` as from `hold_data`."""
        levels = self._admit_levels
        if self._units_at or self.moneys:
            levels = levels.copy()
            for at, capacity in self._units_at:
                levels[at] = min(tokens, capacity)
            for position in range(len(self.moneys)):
                levels[position * 3 - 3 * len(self.moneys) + 1] = nanos
        counters = len(self.opens) + len(_QUOTAS) + len(self.moneys)
        return (*self._keys_admit, request, lease_ms, data, b"%d" % len(self.rates), b"%d" % counters, *levels)

    def hold_data(self, event: bytes, charged: int | None, reserved: int) -> bytes:
        """What the reaper does with a hold: writes the event, gives back the rest of what was reserved."""
        if not self.moneys:
            return b"%b\n0%b" % (event, self._release)
        charged = charged or 0
        corrections = b"".join(b"\n%b %d" % (money.key, charged - reserved) for money in self.moneys)
        return b"%b\n%d%b%b" % (event, charged, self._release, corrections)

    def extend_args(
        self, request: bytes, lease_ms: bytes, data: bytes, more: int | None, nanos: int
    ) -> tuple[Argument, ...]:
        """Keys and arguments of the call that renews a hold and reserves `more` nano-units (None = what it lacks)."""
        moneys = self.moneys
        keys = _with_count(
            redis_names.holds_index(self.partition), redis_names.holds_data(self.partition), *(m.key for m in moneys)
        )
        return (
            *keys,
            request,
            lease_ms,
            data,
            b"" if more is None else more,
            nanos,
            *(money.ceiling_nanos for money in moneys),
        )

    def settle_args(
        self,
        request: bytes,
        event: tuple[bytes, bytes],
        charge: int | None,
        reserved: Reserved,
        quantities: dict[str, int],
    ) -> tuple[Argument, ...]:
        """Keys and arguments of the first call that settles a request at these quantities."""
        rates: list[Argument] = []
        if self._token_rates:
            tokens = sum(quantity for meter, quantity in quantities.items() if meter in TOKEN_METERS)
            for level in self._token_rates:
                rates += [level.interval, tokens - min(reserved.tokens, level.capacity)]
        moneys: list[Argument] = []
        for money in self.moneys:
            moneys += [b"%d" % money.ceiling_nanos, money.seconds]
        before, after = event
        return (
            *self._keys_settle, request, before if charge is not None else before + after, after,
            b"" if charge is None else b"%d" % charge, reserved.nanos if reserved.sure else b"", *self._settle_counts,
            FIRST if reserved.held else MARKED, *rates, quantities.get(REQUESTS, 0) - 1, _COUNTER_SECONDS,
            quantities.get(COMPUTE_MS, 0), _COUNTER_SECONDS, *moneys,
        )  # fmt: skip

    # --- replies ---

    def room_nanos(self, reply: list[int]) -> int | None:
        """What is left at the narrowest money level after an admission; None without any."""
        moneys = self.moneys
        if not moneys:
            return None
        self.money_used = reply[-len(moneys) :]
        return min(money.ceiling_nanos - used for money, used in zip(moneys, self.money_used, strict=True))

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
        admitted = reply[0] == 1
        if not admitted:
            return self._refused_headers(reply)
        lines = b""
        for position, level in enumerate(self.rates):
            if level is self._request_rate:
                lines += limit_headers(level.per_minute, reply[1 + 2 * position], reply[2 + 2 * position])
            elif level is self._token_rate:
                lines += token_limit_headers(level.per_minute, reply[1 + 2 * position], reply[2 + 2 * position])
        quota = self.plan.requests_per_month
        if self._request_rate is None and quota is not None:
            used = reply[1 + 2 * len(self.rates) + self._quota_at]
            lines += limit_headers(quota, quota - used, self.until_micros - unix_micros())
        return lines

    def _refused_headers(self, reply: list[int]) -> bytes:
        rate = self._request_rate
        level = reply[1]
        if rate is not None and level < len(self.rates) and self.rates[level] is rate:
            return limit_headers(rate.per_minute, 0, reply[3])
        quota = self.plan.requests_per_month
        if rate is None and quota is not None:
            return limit_headers(quota, 0, self.until_micros - unix_micros())
        return b"ratelimit-remaining: 0\r\n"


class Reserved:
    """What a hold took: nano-units at each money level, tokens of each token rate. `held` is False without Redis.

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


def _with_count(*keys: str | bytes) -> tuple[Argument, ...]:
    return b"%d" % len(keys), *(key.encode("ascii") if isinstance(key, str) else key for key in keys)


def appended_only(partition: int, request: bytes, event: bytes) -> Sequence[Argument]:
    """Keys and arguments that append an event and count nothing."""
    keys = _with_count(
        redis_names.holds_index(partition), redis_names.holds_data(partition), redis_names.usage_stream(partition),
        redis_names.reaped(partition),
    )  # fmt: skip
    return (*keys, request, event, b"", b"", b"0", b"0", b"0", b"0", b"0", b"0")
