"""Periods, thresholds and what becomes of grants, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from omni.contracts.money import Period
from omni.domains.budgets.contracts import Grant
from omni.domains.pricing import facade as pricing
from omni.kit.clock import month_start

_INSTANT = timedelta(microseconds=1)


def period_start(period: Period, now: datetime) -> datetime | None:
    """The first instant (UTC) of the period that `now` is in; None for all time."""
    if period == "month":
        return month_start(now)
    if period == "day":
        return now.replace(hour=0, minute=0, second=0, microsecond=0)
    return None


def period_name(period: Period, now: datetime) -> str:
    """`202611`, `20261124` or `all`."""
    start = period_start(period, now)
    if start is None:
        return "all"
    return f"{start:%Y%m}" if period == "month" else f"{start:%Y%m%d}"


def reached(spent_nanos: int, limit_nanos: int, alerts: Sequence[int]) -> list[int]:
    """The thresholds, in percent, that spending has come to."""
    return sorted(percent for percent in alerts if spent_nanos * 100 >= limit_nanos * percent)


def settled(grants: Sequence[Grant], spent_nanos: int, now: datetime) -> list[Grant]:
    """The grants once all spending until now is taken off them, and those expired whose time is over.

    `spent_nanos` is all that was ever spent. What is new of it is used in the order of `pricing.burn_down`, by the
    grants that were there just before each expiry and then by those that are there now; what no grant covers waits for
    the next one.
    """
    known = {grant.grant_id: grant for grant in grants}
    taken_back = -sum(min(0, grant.amount_nanos) for grant in grants)
    need = spent_nanos + taken_back - sum(grant.used_nanos for grant in grants)
    for end in sorted({grant.expires_at for grant in grants if grant.expires_at is not None and _is_due(grant, now)}):
        need = _use(known, need, end - _INSTANT)
        for grant in list(known.values()):
            if grant.expires_at == end and _is_due(grant, now):
                known[grant.grant_id] = replace(grant, expired_nanos=grant.remaining_nanos, expired_at=end)
    _use(known, need, now)
    return list(known.values())


def _is_due(grant: Grant, now: datetime) -> bool:
    return grant.expires_at is not None and grant.expires_at <= now and grant.expired_at is None


def _use(known: dict[UUID, Grant], need_nanos: int, at: datetime) -> int:
    """Takes what it can off the grants; returns what is left to cover."""
    for take in pricing.burn_down(list(known.values()), max(0, need_nanos), at):
        grant = known[take.grant_id]
        known[take.grant_id] = replace(grant, used_nanos=grant.used_nanos + take.nanos)
        need_nanos -= take.nanos
    return need_nanos
