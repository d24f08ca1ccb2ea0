"""When an unpaid invoice is reminded of, and when service ends."""

from __future__ import annotations

from datetime import timedelta

REMIND_AFTER = (timedelta(days=1), timedelta(days=7), timedelta(days=14))
"""After the due date."""
SUSPEND_AFTER = timedelta(days=21)


def reminders_due(late: timedelta) -> int:
    """How many reminders of an invoice should have been sent."""
    return sum(late >= after for after in REMIND_AFTER)
