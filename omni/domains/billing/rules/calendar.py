"""When billing periods begin and end, in the tenant's time zone.

Periods begin at midnight there. One that is anchored on the 31st begins on the last day of shorter months and on the
31st again after them: each boundary is counted from the anchor, not from the boundary before. Where a change of the
clocks leaves a midnight out, the day begins at the first instant after it.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

Interval = Literal["month", "quarter", "year"]
Anchor = Literal["calendar", "anniversary"]

MONTHS: dict[Interval, int] = {"month": 1, "quarter": 3, "year": 12}
_FIRST_DAY = date(2000, 1, 1)
"""Calendar periods are counted from here: months, quarters and years begin on the first of some month."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` on and before `end`, both UTC."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def share_of(self, whole: Period) -> Fraction:
        """How much of `whole` this is, exact to the microsecond."""
        return Fraction(_micros(self), _micros(whole))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often and from which day on periods begin. `anchor_day` is a day in the zone."""

    interval: Interval
    anchor_day: date
    zone: str

    @classmethod
    def of(cls, interval: Interval, anchor: Anchor, begun_at: datetime, zone: str) -> Schedule:
        """Of what began at an instant: on calendar months, quarters and years, or on the day of that."""
        day = begun_at.astimezone(ZoneInfo(zone)).date() if anchor == "anniversary" else _FIRST_DAY
        return cls(interval, day, zone)

    def period_at(self, moment: datetime) -> Period:
        """The whole period that an instant is in."""
        local = moment.astimezone(ZoneInfo(self.zone)).date()
        months = 12 * (local.year - self.anchor_day.year) + local.month - self.anchor_day.month
        number = months // MONTHS[self.interval]
        while self.boundary(number) > moment:
            number -= 1
        while self.boundary(number + 1) <= moment:
            number += 1
        return Period(self.boundary(number), self.boundary(number + 1))

    def boundary(self, number: int) -> datetime:
        """When the period of this number begins, UTC; number 0 begins on the anchor day."""
        return midnight(add_months(self.anchor_day, number * MONTHS[self.interval]), self.zone)


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last one."""
    years, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(years, month + 1, min(day.day, monthrange(years, month + 1)[1]))


def midnight(day: date, zone: str) -> datetime:
    """The first instant of a day in a zone, UTC."""
    # A midnight that the clocks leave out is read with the offset before the change (PEP 495, fold=0): that is the
    # instant of the change itself.
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _micros(period: Period) -> int:
    length = period.end - period.start
    return (length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds
