"""What requests earned beside what providers charge for them."""

from __future__ import annotations

from datetime import datetime

from omni.domains.metering.contracts import Margin, MarginGroup
from omni.domains.metering.repository import margins as repository
from omni.foundation.db.sessions import SystemSession
from omni.kit.errors import InvalidInput

_QUARTER_MINUTES = 15


async def margins(session: SystemSession, group_by: MarginGroup, start: datetime, end: datetime) -> list[Margin]:
    """By tenant, model or endpoint, of live requests in [start, end). Earned is what requests were charged by the price
    list when they were made; plans, coupons and taxes are on invoices.

    Raises InvalidInput `period_not_whole` for bounds that are not on a quarter of an hour.
    """
    if any(each.minute % _QUARTER_MINUTES or each.second or each.microsecond for each in (start, end)):
        raise InvalidInput("period_not_whole", "Begin and end on a quarter of an hour, such as 12:15:00.")
    return [
        Margin(row["group_value"], row["requests"], int(row["earned"]), int(row["cost"]), int(row["written_off"]))
        for row in await repository.margins(session, group_by, start, end)
    ]
