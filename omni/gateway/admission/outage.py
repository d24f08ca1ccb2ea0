"""Limits while Redis cannot be asked: the rate from local memory, quota and money from a small allowance, then no more.

The allowance of money is a share of what Redis last said was left at the narrowest hard ceiling; a tenant of which this
process knows nothing has none.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from omni.gateway.admission.limits import MINUTE_MICROS, LimitSet
from omni.gateway.admission.refusals import RATE_REQUESTS, limit_headers, rate_exceeded
from omni.gateway.config import GatewayConfig
from omni.kit.errors import LimitExceeded, OmniError, Unavailable

_ENTRIES_LIMIT = 50_000


class OutageLimits:
    """What this process admits on its own. State per tenant lasts until Redis admits for the tenant again."""

    def __init__(self, config: GatewayConfig) -> None:
        self._processes = config.processes
        self._floor = config.outage_allowance_floor
        self._per_mille = config.outage_allowance_per_mille
        self._arrivals: dict[UUID, float] = {}
        self._allowances: dict[tuple[UUID, str], int] = {}
        self._money_per_mille = config.outage_money_per_mille
        self._money: dict[bytes, int] = {}
        self.in_use = False
        """Whether anything was admitted here that Redis has not admitted for since."""

    def admit(self, limits: LimitSet, now_micros: int, nanos: int) -> bytes:
        """Admits at an expected cost of `nanos` and returns the RateLimit header lines.

        Raises LimitExceeded, or Unavailable `limits_unavailable`.
        """
        self.in_use = True
        plan = limits.plan
        headers = b""
        arrival = float(now_micros)
        if plan.requests_per_minute is not None:
            interval = MINUTE_MICROS * self._processes / max(1, plan.requests_per_minute)
            tolerance = interval * max(1, plan.request_burst // self._processes)
            arrival = max(self._arrivals.get(limits.tenant_id, 0.0), arrival) + interval
            late = arrival - tolerance - now_micros
            if late > 0:
                raise rate_exceeded(RATE_REQUESTS, int(late))
            remaining = int((tolerance - (arrival - now_micros)) / interval)
            headers = limit_headers(plan.requests_per_minute, remaining, int(arrival - now_micros))
        self._check_money(limits, nanos)
        self._take_allowance(limits)
        for level in limits.moneys:
            self._money[level.key] -= nanos
        if plan.requests_per_minute is not None:
            _bounded(self._arrivals)
            self._arrivals[limits.tenant_id] = arrival
        return headers

    def recovered(self, limits: LimitSet) -> None:
        """Redis has admitted for this tenant again: the outage is over for it."""
        self._arrivals.pop(limits.tenant_id, None)
        self._allowances.pop((limits.tenant_id, limits.mode), None)
        for level in limits.moneys:
            self._money.pop(level.key, None)
        self.in_use = bool(self._arrivals or self._allowances or self._money)

    def _check_money(self, limits: LimitSet, nanos: int) -> None:
        for position, level in enumerate(limits.moneys):
            left = self._money.get(level.key)
            if left is None:
                known = level.ceiling_nanos - limits.money_used[position] if limits.money_used else 0
                left = max(0, known) * self._money_per_mille // (1000 * self._processes)
                _bounded(self._money)
                self._money[level.key] = left
            if nanos > left or left <= 0:
                raise _limits_unavailable()

    def _take_allowance(self, limits: LimitSet) -> None:
        plan = limits.plan
        quota = plan.requests_per_month
        if quota is None and plan.compute_ms_per_month is None:
            return
        key = (limits.tenant_id, limits.mode)
        left = self._allowances.get(key)
        if left is None:
            left = max(self._floor, (quota or 0) * self._per_mille // 1000)
            left = left if quota is None else min(left, quota)
            _bounded(self._allowances)
        if left <= 0:
            raise _limits_unavailable()
        self._allowances[key] = left - 1


def refused_headers(error: OmniError, limits: LimitSet) -> bytes:
    """RateLimit header lines for a refusal made without Redis."""
    if isinstance(error, LimitExceeded) and limits.plan.requests_per_minute is not None:
        return limit_headers(limits.plan.requests_per_minute, 0, error.retry_after_seconds * 1_000_000)
    return b""


def _limits_unavailable() -> Unavailable:
    return Unavailable(
        "limits_unavailable", "Limits cannot be checked just now. Try again shortly.", retry_after_seconds=2
    )


def _bounded(table: dict[Any, Any]) -> None:
    if len(table) >= _ENTRIES_LIMIT:
        del table[next(iter(table))]
