"""Which part of a period the rollups know, and which the raw events have to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SLOT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A period cut up. All bounds are half-open."""

    bounds: tuple[datetime, ...]
    """Where its windows begin, and the end of the last."""
    rollups_from: datetime
    rollups_until: datetime
    skipped: tuple[datetime, ...]
    """Slots in between that a window's bound cuts in two: their events are counted one by one."""
    raw: tuple[tuple[datetime, datetime], ...]


def slot_of(moment: datetime) -> datetime:
    """The start of the quarter of an hour that an instant is in."""
    return moment - (moment - EPOCH) % SLOT


def cut(bounds: Sequence[datetime], *, rolled_up: bool = True) -> Pieces:
    """The pieces of the windows between `bounds`, which ascend. Without rollups all of it is raw."""
    first, last = bounds[0], bounds[-1]
    if not rolled_up:
        return Pieces(tuple(bounds), first, first, (), ((first, last),))
    cut_slots = sorted({slot_of(bound) for bound in bounds if slot_of(bound) != bound})
    raw = tuple((max(slot, first), min(slot + SLOT, last)) for slot in cut_slots)
    start = first if slot_of(first) == first else slot_of(first) + SLOT
    end = max(slot_of(last), start)
    return Pieces(tuple(bounds), start, end, tuple(slot for slot in cut_slots if start <= slot < end), raw)


def windows(start: datetime, end: datetime, window: str, zone: ZoneInfo) -> list[datetime]:
    """Bounds of the hours, days or months of a zone that touch a period, clipped to it; in UTC.

    Days and months begin at local midnight, or at the first instant of the day where midnight is skipped. Hours begin
    where the zone's clock shows a full hour.
    """
    bounds, local = [start.astimezone(UTC)], start.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    next_bound = midnight.replace(day=1) if window == "month" else midnight
    if window == "hour":
        offset = local.utcoffset() or timedelta(0)
        following = start - (start - EPOCH + offset) % timedelta(hours=1)
    while True:
        if window == "hour":
            following += timedelta(hours=1)
        else:
            next_bound = _next_local(next_bound, window)
            following = _first_instant(next_bound)
        if following >= end:
            break
        if following > bounds[-1]:
            bounds.append(following.astimezone(UTC))
    return [*bounds, end.astimezone(UTC)]


def _next_local(moment: datetime, window: str) -> datetime:
    if window == "day":
        return moment + timedelta(days=1)
    return moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1)


def _first_instant(local: datetime) -> datetime:
    """The instant of a wall-clock time; where clocks skip it, the instant at which they do."""
    utc = local.astimezone(UTC)
    if utc.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        return utc
    return local.replace(fold=1).astimezone(UTC)
