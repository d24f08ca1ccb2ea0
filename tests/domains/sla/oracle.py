"""Availability as the definition says it in words, the slow way: every microsecond range is looked at for each slot,
every request is counted by itself, and numbers are decimals of many digits instead of fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from itertools import pairwise

QUARTER = timedelta(minutes=15)
DIGITS = Context(prec=200)


@dataclass(frozen=True, slots=True)
class Request:
    at: datetime
    status: int


Times = Sequence[tuple[datetime, datetime]]


def seconds_in(times: Times, start: datetime, end: datetime) -> Decimal:
    """How much of [start, end) any of the times covers: between all their edges it is one or the other."""
    edges = sorted({start, end, *(edge for each in times for edge in each if start < edge < end)})
    covered = timedelta(0)
    for left, right in pairwise(edges):
        if any(begin <= left and right <= stop for begin, stop in times):
            covered += right - left
    return Decimal(covered // timedelta(microseconds=1)) / 1_000_000


def availability(start: datetime, end: datetime, requests: Sequence[Request], down: Times, maintained: Times) -> str:
    """In percent, three digits after the point, rounded down."""
    by_quarter: dict[datetime, list[Request]] = {}
    for request in requests:
        quarter = start
        quarter += (request.at - start) // QUARTER * QUARTER
        by_quarter.setdefault(quarter, []).append(request)
    total, quarters, quarter = Decimal(0), 0, start
    while quarter < end:
        until = quarter + QUARTER
        asked = by_quarter.get(quarter, [])
        lost = DIGITS.divide(seconds_in(down, quarter, until), Decimal(900))
        if asked and not any(begin < until and stop > quarter for begin, stop in maintained):
            failures = sum(1 for request in asked if request.status >= 500 or request.status == 0)
            lost = max(lost, DIGITS.divide(Decimal(failures), Decimal(len(asked))))
        total = DIGITS.add(total, DIGITS.subtract(Decimal(1), lost))
        quarters, quarter = quarters + 1, until
    # 150 of the 200 digits are sure, so that what is exactly on a step stays there
    percent = DIGITS.divide(DIGITS.multiply(total, Decimal(100)), Decimal(quarters)).quantize(
        Decimal(1).scaleb(-150), context=DIGITS
    )
    return str(percent.quantize(Decimal("0.001"), ROUND_DOWN, DIGITS))


def credit_percent(tiers: Sequence[tuple[str, int]], percent: str) -> int:
    """The largest credit of all thresholds that it is below."""
    return max((credit for below, credit in tiers if Decimal(percent) < Decimal(below)), default=0)
