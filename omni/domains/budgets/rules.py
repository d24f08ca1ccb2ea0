"""Periods and thresholds, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from omni.contracts.money import Period
from omni.kit.clock import month_start


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
