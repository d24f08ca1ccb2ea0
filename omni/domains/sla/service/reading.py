"""Months as they are shown: closed ones as they were stored, others by the data of now."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from omni.domains.sla import repository
from omni.domains.sla.contracts import Month, StatusPage
from omni.domains.sla.service import closing, measuring
from omni.foundation.db.sessions import Database, ReadSession
from omni.kit.errors import NotFound


async def month_of(database: Database, tenant_id: UUID, status_page: StatusPage, month: date, now: datetime) -> Month:
    """Raises NotFound `sla_month_not_found`, Unavailable `outages_unknown`."""
    async with database.read(tenant_id) as session:
        stored = await repository.find(session, month)
    return stored or await measured_now(database, tenant_id, status_page, month, now)


async def measured_now(
    database: Database, tenant_id: UUID, status_page: StatusPage, month: date, now: datetime
) -> Month:
    """What the data says now, whatever was stored; changes nothing. Raises as `month_of`."""
    async with database.read(tenant_id) as session:
        period = await measuring.period_of(session, month, now)
    observed = await status_page.observed(period.start, period.end)
    async with database.read(tenant_id) as session:
        return await closing.judged(session, period, observed)


async def of_credit_note(session: ReadSession, invoice_id: UUID) -> Month:
    """The month that a credit note is for. Raises NotFound `sla_credit_not_found`."""
    found = await repository.of_invoice(session, invoice_id)
    if found is None:
        raise NotFound("sla_credit_not_found", "There is no such credit note of a service level in this tenant.")
    return found
