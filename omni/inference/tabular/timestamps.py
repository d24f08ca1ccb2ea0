"""Times of a series with equal steps."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta

from omni.inference.tabular.schemas import Frequency
from omni.kit.errors import InvalidInput

SEASONS: dict[Frequency, int] = {"hourly": 24, "daily": 7, "weekly": 52, "monthly": 12, "quarterly": 4, "yearly": 1}
_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
_STEPS = {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "weekly": timedelta(weeks=1)}


def time_of(start: datetime, frequency: Frequency, step: int) -> datetime:
    """The time `step` steps after `start`. A day that a month lacks becomes its last: 31 January + 1 month = 28
    February.

    Raises InvalidInput `start_out_of_range` when the time is past the year 9999.
    """
    try:
        months = _MONTHS.get(frequency)
        if months is None:
            return start + step * _STEPS[frequency]
        year, month = divmod(start.year * 12 + start.month - 1 + step * months, 12)
        day = min(start.day, calendar.monthrange(year, month + 1)[1])
        return start.replace(year=year, month=month + 1, day=day)
    except (OverflowError, ValueError):
        raise InvalidInput(
            "start_out_of_range", "The forecast goes past the year 9999. Send an earlier `start`.", param="series.start"
        ) from None
