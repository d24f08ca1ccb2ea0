"""How availability is defined, without I/O. The README has the definition in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from omni.domains.sla.contracts import Loss, Measurement, Observed, Stretch, Tier
from omni.kit.errors import InvalidInput

SLOT = timedelta(minutes=15)
WHOLE = 100_000
"""100 %, in thousandths of a percent."""
MOST_TIERS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
SLOT_MICROS = SLOT // _MICROSECOND


def month_bounds(month: date, zone: str) -> tuple[datetime, datetime]:
    """From the first instant of a calendar month in a zone to that of the next one, UTC."""
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return _midnight(month.replace(day=1), zone), _midnight(following, zone)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def slot_of(moment: datetime) -> datetime:
    """When the quarter of an hour begins that an instant is in."""
    return moment - (moment - _EPOCH) % SLOT


def measure(
    period: tuple[datetime, datetime], answers: Mapping[datetime, tuple[int, int]], observed: Observed
) -> Measurement:
    """How available a period of whole slots was. `answers` has valid and failed requests by the slot's beginning."""
    start, end = period
    down = _micros_by_slot(_union(observed.outages, period))
    maintained = _micros_by_slot(_union(observed.maintenances, period))
    found = []
    for slot in sorted({*down, *(slot for slot, (_, failed) in answers.items() if failed)}):
        valid, failed = answers.get(slot, (0, 0))
        loss = Loss(slot, valid, 0 if slot in maintained else failed, down.get(slot, 0))
        if loss.failed or loss.down_micros:
            found.append(loss)
    slots = (end - start) // SLOT
    return Measurement(start, end, slots, availability_of(found, slots), tuple(found), observed)


def unavailability(loss: Loss) -> Fraction:
    """The share of a slot that was lost: the larger of failed requests and time down, so neither counts twice."""
    failed = Fraction(loss.failed, loss.valid) if loss.valid else Fraction(0)
    return max(failed, Fraction(loss.down_micros, SLOT_MICROS))


def availability_of(losses: Iterable[Loss], slots: int) -> int | None:
    """The mean over the slots, in thousandths of a percent, rounded down once; None without slots."""
    if not slots:
        return None
    lost = sum(map(unavailability, losses), Fraction(0))
    return WHOLE * (slots - lost) // slots


def tier_for(tiers: Sequence[Tier], availability: int) -> Tier | None:
    """The lowest threshold that was missed; exactly at a threshold it is kept."""
    missed = [tier for tier in tiers if availability < tier.below_millipercent]
    return missed[-1] if missed else None


def check_tiers(tiers: Sequence[Tier]) -> None:
    """Raises InvalidInput `sla_tiers_invalid` unless thresholds fall and credits rise, within 0 and 100 %."""
    below = [tier.below_millipercent for tier in tiers]
    given = [tier.credit_percent for tier in tiers]
    falling = all(later < earlier for earlier, later in pairwise(below))
    rising = all(later > earlier for earlier, later in pairwise(given))
    within = all(0 < each <= WHOLE for each in below) and all(0 < each <= 100 for each in given)
    if not (falling and rising and within and len(tiers) <= MOST_TIERS):
        raise InvalidInput(
            "sla_tiers_invalid",
            f"Give at most {MOST_TIERS} tiers, thresholds from the highest to the lowest, above 0 and up to 100 %, and "
            "a higher credit with each, above 0 and up to 100 %.",
            param="tiers",
        )


def _union(stretches: Iterable[Stretch], period: tuple[datetime, datetime]) -> list[tuple[datetime, datetime]]:
    """Where any of them is, within the period; what overlaps or touches is one."""
    merged: list[tuple[datetime, datetime]] = []
    clipped = ((max(each.start, period[0]), min(each.end, period[1])) for each in stretches)
    for start, end in sorted(each for each in clipped if each[0] < each[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _micros_by_slot(spans: Iterable[tuple[datetime, datetime]]) -> dict[datetime, int]:
    found: dict[datetime, int] = {}
    for start, end in spans:
        slot = slot_of(start)
        while slot < end:
            part = min(end, slot + SLOT) - max(start, slot)
            found[slot] = found.get(slot, 0) + part // _MICROSECOND
            slot += SLOT
    return found
