"""Billing periods: month ends, leap days, changes of the clocks, zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.domains.billing.rules.calendar import MONTHS, Anchor, Interval, Period, Schedule, add_months, midnight

ZONES = ("UTC", "Europe/Ljubljana", "America/St_Johns", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo", "Asia/Beirut")


def starts(schedule: Schedule, count: int) -> list[str]:
    return [f"{schedule.boundary(number):%Y-%m-%dT%H:%M}" for number in range(count)]


def test_an_anniversary_on_the_31st_keeps_to_month_ends() -> None:
    schedule = Schedule("month", date(2027, 12, 31), "UTC")
    assert [each[:10] for each in starts(schedule, 5)] == [
        "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30",
    ]  # fmt: skip


def test_a_leap_day_comes_back_every_four_years() -> None:
    schedule = Schedule("year", date(2028, 2, 29), "UTC")
    assert [each[:10] for each in starts(schedule, 5)] == [
        "2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29",
    ]  # fmt: skip


def test_quarters_of_the_calendar_begin_in_january() -> None:
    schedule = Schedule.of("quarter", "calendar", datetime(2026, 11, 24, tzinfo=UTC), "UTC")
    period = schedule.period_at(datetime(2026, 11, 24, tzinfo=UTC))
    assert (period.start, period.end) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_midnight_is_the_tenants() -> None:
    schedule = Schedule.of("month", "calendar", datetime(2026, 1, 1, tzinfo=UTC), "Europe/Ljubljana")
    period = schedule.period_at(datetime(2026, 3, 31, 22, 30, tzinfo=UTC))
    assert period.start == datetime(2026, 3, 31, 22, tzinfo=UTC), "April has begun in Ljubljana"
    march = schedule.period_at(datetime(2026, 3, 15, tzinfo=UTC))
    assert march.end - march.start == timedelta(days=31, hours=-1), "an hour is missing in March"


def test_a_midnight_that_the_clocks_leave_out_is_the_instant_of_the_change() -> None:
    # In Cairo, Friday 24 April 2026 begins at 01:00: the clocks go from 00:00 to 01:00.
    begins = midnight(date(2026, 4, 24), "Africa/Cairo")
    assert begins.astimezone(ZoneInfo("Africa/Cairo")).isoformat() == "2026-04-24T01:00:00+03:00"
    assert (begins - timedelta(microseconds=1)).astimezone(ZoneInfo("Africa/Cairo")).day == 23


def test_shares_are_exact() -> None:
    whole = Schedule("month", date(2026, 4, 1), "UTC").period_at(datetime(2026, 4, 10, tzinfo=UTC))
    part = Period(datetime(2026, 4, 21, tzinfo=UTC), whole.end)
    assert part.share_of(whole) == Fraction(1, 3)
    second = Period(whole.start, whole.start + timedelta(seconds=1))
    assert second.share_of(whole) == Fraction(1, 30 * 86_400)


@pytest.mark.parametrize("zone", ZONES)
@given(
    interval=st.sampled_from(("month", "quarter", "year")),
    anchor=st.sampled_from(("calendar", "anniversary")),
    begun=st.timedeltas(timedelta(0), timedelta(days=11_000)).map(datetime(2010, 1, 2, tzinfo=UTC).__add__),
    later=st.timedeltas(timedelta(0), timedelta(days=1500)),
)
def test_periods_follow_each_other_without_gap(
    zone: str, interval: Interval, anchor: Anchor, begun: datetime, later: timedelta
) -> None:
    schedule = Schedule.of(interval, anchor, begun, zone)
    period = schedule.period_at(begun + later)
    assert begun + later in period
    assert schedule.period_at(period.end).start == period.end
    assert schedule.period_at(period.start - timedelta(microseconds=1)).end == period.start
    local = period.start.astimezone(ZoneInfo(zone))
    expected = add_months(schedule.anchor_day, 0).day
    last = (add_months(local.date().replace(day=1), 1) - timedelta(days=1)).day
    # Samoa had no 30 December 2011: what would begin on it begins with the day after.
    assert local.date() == date(2011, 12, 31) or local.day == min(expected, last)
    months = 12 * (local.year - schedule.anchor_day.year) + local.month - schedule.anchor_day.month
    assert months % MONTHS[interval] == 0
