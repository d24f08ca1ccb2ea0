"""Admit → settle: which levels a request is checked at, and the two Lua calls that hold it and settle it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

from omni.contracts import redis_names
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot
from omni.contracts.usage import COMPUTE_MS, INPUT_TOKENS, REQUESTS, UsageEvent
from omni.gateway.redis_client import Script
from omni.gateway.resp import Argument
from omni.kit.clock import month_start, next_month, unix_micros
from omni.kit.errors import LimitExceeded, OmniError

MINUTE_MICROS = 60_000_000
RATE_REQUESTS = "rpm"
RATE_TOKENS = "tpm"
_COUNTERS = (REQUESTS, COMPUTE_MS)
_MICROS = 1_000_000


class Scripts:
    """The Lua scripts of admission."""

    def __init__(self) -> None:
        self.admit = Script("admit.lua")
        self.settle = Script("settle.lua")
        self.renew = Script("renew.lua")

    def all(self) -> tuple[Script, ...]:
        return self.admit, self.settle, self.renew


class LimitSet:
    """The levels of one caller in one month, ready to be sent. Rate levels come first, then monthly counters."""

    __slots__ = (
        "_token_interval",
        "admit_keys",
        "admit_levels",
        "mode",
        "month_end_micros",
        "month_start_micros",
        "partition",
        "plan",
        "rates",
        "settle_keys",
        "tenant_id",
    )  # fmt: skip

    def __init__(self, key: KeySnapshot, plan: PlanSnapshot, at_micros: int) -> None:
        moment = datetime.fromtimestamp(at_micros / _MICROS, UTC)
        self.month_start_micros = int(month_start(moment).timestamp()) * _MICROS
        self.month_end_micros = int(next_month(moment).timestamp()) * _MICROS
        self.plan = plan
        self.tenant_id = key.tenant_id
        self.mode = key.mode
        self.partition = redis_names.partition_of(key.tenant_id)
        self.rates: list[str] = []
        levels: list[Argument] = []
        self._token_interval: bytes | None = None
        if plan.requests_per_minute is not None:
            self.rates.append(RATE_REQUESTS)
            levels += _rate_level(plan.requests_per_minute, plan.request_burst, 1)
        if plan.tokens_per_minute is not None:
            self.rates.append(RATE_TOKENS)
            token_level = _rate_level(plan.tokens_per_minute, plan.tokens_per_minute, 0)
            self._token_interval = token_level[0]
            levels += token_level
        for limit, units in ((plan.requests_per_month, 1), (plan.compute_ms_per_month, 0)):
            levels += [b"%d" % (-1 if limit is None else limit), b"%d" % units]
        self.admit_levels: tuple[Argument, ...] = (b"%d" % len(self.rates), b"%d" % len(_COUNTERS), *levels)
        counters = _counter_keys(key.tenant_id, key.mode, moment)
        rates = [redis_names.rate_key(key.tenant_id, rate) for rate in self.rates]
        self.admit_keys = _with_count(
            redis_names.counters_ready(self.partition),
            redis_names.holds_index(self.partition),
            redis_names.holds_data(self.partition),
            *rates,
            *counters,
        )
        tokens = [redis_names.rate_key(key.tenant_id, RATE_TOKENS)] if self._token_interval else []
        self.settle_keys = _with_count(*_settle_keys(self.partition), *tokens, *counters)

    def settle_args(self, request_id_hex: str, event: bytes, quantities: dict[str, int]) -> tuple[Argument, ...]:
        """Keys and arguments of the call that settles a request at these quantities."""
        counters = _counter_deltas(quantities)
        if self._token_interval is None:
            return (*self.settle_keys, request_id_hex, event, b"0", b"2", *counters)
        tokens = quantities.get(INPUT_TOKENS, 0)
        return (*self.settle_keys, request_id_hex, event, b"1", b"2", self._token_interval, tokens, *counters)

    def refusal(self, reply: list[int]) -> LimitExceeded:
        """The error for a refusing level."""
        level = reply[1]
        if level < len(self.rates):
            return rate_exceeded(self.rates[level], reply[2])
        meter = _COUNTERS[level - len(self.rates)]
        seconds = max(1, math.ceil((self.month_end_micros - unix_micros()) / _MICROS))
        return LimitExceeded(
            "quota_exceeded",
            f"The plan's monthly quota of {meter} is used up. It starts anew with the next month (UTC); "
            "a larger plan raises it at once.",
            retry_after_seconds=seconds,
            meter=meter,
        )

    def headers(self, reply: list[int]) -> bytes:
        """RateLimit header lines: of the request rate where there is one, else of the quota."""
        admitted = reply[0] == 1
        if self.plan.requests_per_minute is not None:
            if admitted:
                return limit_headers(self.plan.requests_per_minute, reply[1], reply[2])
            refused_by_rate = self.rates[reply[1]] == RATE_REQUESTS if reply[1] < len(self.rates) else False
            if refused_by_rate:
                return limit_headers(self.plan.requests_per_minute, 0, reply[3])
        if self.plan.requests_per_month is not None:
            used = reply[1 + 2 * len(self.rates)] if admitted else self.plan.requests_per_month
            reset_micros = self.month_end_micros - unix_micros()
            return limit_headers(self.plan.requests_per_month, self.plan.requests_per_month - used, reset_micros)
        return b"" if admitted else b"ratelimit-remaining: 0\r\n"


def rate_exceeded(rate: str, retry_after_micros: int) -> LimitExceeded:
    """The error for a rate of the plan."""
    what = "requests" if rate == RATE_REQUESTS else "tokens"
    return LimitExceeded(
        "rate_limit_exceeded",
        f"The plan's rate of {what} per minute is exceeded. Slow down or wait as Retry-After says.",
        retry_after_seconds=max(1, math.ceil(retry_after_micros / _MICROS)),
        limit=rate,
    )


def limit_headers(limit: int, remaining: int, reset_micros: int) -> bytes:
    """The header lines of one limit, in the general and in OpenAI's form."""
    remaining = max(0, remaining)
    reset_micros = max(0, reset_micros)
    reset_seconds = -(-reset_micros // _MICROS)
    short = b"%dms" % -(-reset_micros // 1000) if reset_micros < _MICROS else b"%ds" % reset_seconds
    return (
        b"ratelimit-limit: %d\r\nratelimit-remaining: %d\r\nratelimit-reset: %d\r\n"
        b"x-ratelimit-limit-requests: %d\r\nx-ratelimit-remaining-requests: %d\r\nx-ratelimit-reset-requests: %b\r\n"
    ) % (limit, remaining, reset_seconds, limit, remaining, short)


def replay_args(event: UsageEvent, event_json: bytes) -> tuple[Argument, ...]:
    """Keys and arguments that settle an event from the spool: rates have moved on, counters have not."""
    moment = datetime.fromtimestamp(event.occurred_at_micros / _MICROS, UTC)
    counters = _counter_keys(event.tenant_id, event.mode, moment)
    keys = _with_count(*_settle_keys(redis_names.partition_of(event.tenant_id)), *counters)
    return (*keys, event.event_id.hex, event_json, b"0", b"2", *_counter_deltas(event.quantities))


def _rate_level(per_minute: int, burst: int, units: int) -> tuple[bytes, bytes, bytes]:
    # A rate of nothing refuses by a tolerance that no unit fits into.
    interval = MINUTE_MICROS / per_minute if per_minute > 0 else float(MINUTE_MICROS)
    tolerance = math.ceil(interval * max(1, burst)) if per_minute > 0 else -1
    return b"%.6f" % interval, b"%d" % tolerance, b"%d" % units


def _counter_deltas(quantities: dict[str, int]) -> tuple[int, int]:
    return quantities.get(REQUESTS, 0) - 1, quantities.get(COMPUTE_MS, 0)


def _counter_keys(tenant_id: UUID, mode: str, moment: datetime) -> list[str]:
    month = moment.strftime("%Y%m")
    return [redis_names.quota_key(tenant_id, mode, month, meter) for meter in _COUNTERS]


def _settle_keys(partition: int) -> tuple[str, str, str]:
    return redis_names.holds_index(partition), redis_names.holds_data(partition), redis_names.usage_stream(partition)


def _with_count(*keys: str) -> tuple[Argument, ...]:
    return b"%d" % len(keys), *(key.encode("ascii") for key in keys)


def refused_headers(error: OmniError, limits: LimitSet) -> bytes:
    """RateLimit header lines for a refusal made without Redis."""
    if isinstance(error, LimitExceeded) and limits.plan.requests_per_minute is not None:
        return limit_headers(limits.plan.requests_per_minute, 0, error.retry_after_seconds * _MICROS)
    return b""
