"""How available a month was, or has been so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from omni.domains.billing import facade as billing
from omni.domains.metering import facade as metering
from omni.domains.sla import rules
from omni.domains.sla.contracts import Measurement, Observed
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import ReadSession
from omni.kit.errors import NotFound

REMEMBERED = timedelta(days=89)
"""The status page keeps its probes for 90 days."""


@dataclass(frozen=True, slots=True)
class Period:
    """The part of a tenant's calendar month that is measured: since the tenant is there, and until now."""

    month: date
    begins: datetime
    """When the month itself begins."""
    start: datetime
    end: datetime
    over: bool
    plan_code: str
    """The plan whose limits the tenant has now."""


async def period_of(session: ReadSession, month: date, now: datetime) -> Period:
    """Raises NotFound `sla_month_not_found` for a month that is to come, was before the tenant or is too long ago, and
    for sandbox tenants, which live in a time of their own."""
    buyer, tenant = await billing.buyer_of(session), await tenants.get_tenant(session)
    begins, ends = rules.month_bounds(month, buyer.time_zone)
    known = begins <= now and ends > tenant.created_at and begins >= now - REMEMBERED
    if buyer.test_clock is not None or not known:
        raise NotFound("sla_month_not_found", "Nothing is known of the availability of this month.")
    start = max(begins, rules.slot_of(tenant.created_at))
    end = max(start, min(ends, rules.slot_of(now)))
    return Period(month, begins, start, end, ends <= now, tenant.plan_code)


async def measure(session: ReadSession, period: Period, observed: Observed) -> Measurement:
    """From the tenant's requests and what the status page saw."""
    answers = {}
    if period.start < period.end:
        answers = await metering.answers_by_slot(session, period.start, period.end)
    return rules.measure((period.start, period.end), answers, observed)
