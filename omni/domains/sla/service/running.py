"""The run that closes months: each tenant in a transaction of its own, so that one never holds up the others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog

from omni.domains.sla import repository, rules
from omni.domains.sla.contracts import Observed, StatusPage
from omni.domains.sla.service import closing, measuring
from omni.foundation.db.sessions import Database, SystemSession
from omni.kit.errors import OmniError

GRACE = timedelta(days=3)
"""How long after its end a month waits for usage that comes late."""
MONTHS_BACK = 2
"""A month that could not be measured, because the status page was away, is tried for until its probes are forgotten."""
_ZONES_DIFFER = timedelta(hours=14)

OpenSystemSession = Callable[[], AbstractAsyncContextManager[SystemSession]]

log = structlog.stdlib.get_logger("omni.sla")


class MonthlyRun:
    """One run. What the status page said is asked once for each span."""

    def __init__(
        self, database: Database, open_session: OpenSystemSession, status_page: StatusPage, now: datetime
    ) -> None:
        self._database = database
        self._open_session = open_session
        self._status_page = status_page
        self._now = now
        self._observed: dict[tuple[datetime, datetime], Observed] = {}
        self._failed: list[OmniError] = []

    async def run(self) -> int:
        """Measures and closes all that is due; returns how many months it looked at.

        Raises the first error that a tenant's month gave, after all others were tried, and Unavailable
        `outages_unknown` at once: without the status page no month is measured.
        """
        async with self._open_session() as session:
            waiting = await repository.waiting(session)
        for tenant_id, month in waiting:
            await self._one(tenant_id, month, measured=True)
        looked_at = len(waiting)
        for month in months_before(self._now):
            for tenant_id in await self._due(month):
                await self._one(tenant_id, month, measured=False)
                looked_at += 1
        if self._failed:
            raise self._failed[0]
        return looked_at

    async def _due(self, month: date) -> list[UUID]:
        """Tenants whose month is over for long enough, in their own zone, and not forgotten."""
        until = rules.month_bounds(month, "UTC")[1] + _ZONES_DIFFER
        async with self._open_session() as session:
            found = await repository.unmeasured(session, month, until)
        due = []
        for tenant_id, zone, created_at in found:
            begins, ends = rules.month_bounds(month, zone)
            if created_at < ends and ends + GRACE <= self._now and begins >= self._now - measuring.REMEMBERED:
                due.append(tenant_id)
        return due

    async def _one(self, tenant_id: UUID, month: date, *, measured: bool) -> None:
        try:
            if measured:
                async with self._database.write(tenant_id) as session:
                    await closing.settle(session, month, self._now)
            else:
                await self._measure(tenant_id, month)
        except OmniError as error:
            if error.code == "outages_unknown":
                raise
            log.error(
                "sla_month_failed", tenant_id=str(tenant_id), month=str(month), reason=error.internal or str(error)
            )
            self._failed.append(error)

    async def _measure(self, tenant_id: UUID, month: date) -> None:
        async with self._database.read(tenant_id) as reading:
            period = await measuring.period_of(reading, month, self._now)
        span = period.start, period.end
        if span not in self._observed:
            self._observed[span] = await self._status_page.observed(*span)
        async with self._database.write(tenant_id) as session:
            await closing.close(session, period, self._observed[span], self._now)


def months_before(now: datetime) -> list[date]:
    """The calendar months before that of now (UTC), the oldest first."""
    number = now.year * 12 + now.month - 1
    return [date(*_year_month(number - back)) for back in range(MONTHS_BACK, 0, -1)]


def _year_month(number: int) -> tuple[int, int, int]:
    return number // 12, number % 12 + 1, 1
