"""A month is measured once, and closed once: by what was promised, and with a credit note where that was missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import Charges, ServiceCredit
from omni.domains.sla import repository
from omni.domains.sla.contracts import Month, Observed, Tier
from omni.domains.sla.rules import tier_for
from omni.domains.sla.service import evidence, measuring
from omni.domains.sla.service.measuring import Period
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import Conflict
from omni.kit.money import divide_half_even


async def judged(session: ReadSession, period: Period, observed: Observed) -> Month:
    """What a month is like by the data of now; nothing of it is stored. Its outcome is None until the month is over."""
    found = await measuring.measure(session, period, observed)
    plan_code = await billing.plan_at_end(session, found.start, found.end) or period.plan_code
    table = await repository.table_at(session, plan_code, period.begins)
    month = Month(
        period.month, found.start, found.end, found.slots, found.availability, plan_code,
        table.version if table else None, None, evidence=evidence.of_measurement(found, table),
    )  # fmt: skip
    if not period.over or found.availability is None:
        return month
    if table is None or not table.tiers:
        return replace(month, outcome="no_sla")
    missed = tier_for(table.tiers, found.availability)
    if missed is None:
        return replace(month, outcome="met")
    return replace(month, outcome="waiting", credit_percent=missed.credit_percent)


async def close(session: WriteSession, period: Period, observed: Observed, now: datetime) -> Month:
    """Measures a month unless that was done, and closes it unless it waits for invoices; once, however many ask.

    Raises Conflict `sla_month_open`.
    """
    if await repository.find(session, period.month) is None:
        made = await judged(session, period, observed)
        if made.outcome is None:
            raise Conflict("sla_month_open", "The month is not over yet.")
        closed_at = None if made.outcome == "waiting" else now
        await repository.insert_missing(session, replace(made, measured_at=now, closed_at=closed_at))
    return await settle(session, period.month, now)


async def settle(session: WriteSession, month: date, now: datetime) -> Month:
    """Closes a month that was measured, if the invoices that it is about are final."""
    stored = await repository.find(session, month, lock=True)
    assert stored is not None
    if stored.outcome != "waiting":
        return stored
    found = await billing.charges(session, stored.start, stored.end)
    if found is None:
        return stored
    credit = divide_half_even(found.base_minor * stored.credit_percent, 100)
    closed = replace(
        stored, outcome="nothing_to_credit", currency=found.currency, base_minor=found.base_minor,
        evidence={**(stored.evidence or {}), "charges": evidence.of_charges(found)}, closed_at=now,
    )  # fmt: skip
    if credit:
        closed = await _credited(session, replace(closed, credit_minor=credit), found, now)
    await repository.close(session, closed)
    return closed


async def _credited(session: WriteSession, month: Month, found: Charges, now: datetime) -> Month:
    assert month.plan_code is not None
    assert month.table_version is not None
    assert month.availability is not None
    table = await repository.table_of(session, month.plan_code, month.table_version)
    missed = tier_for(table.tiers, month.availability) if table else None
    assert missed is not None
    note = await billing.issue_service_credit(session, found, _credit(session, month, missed), now)
    return replace(month, outcome="credited", invoice_id=note.invoice_id)


def _credit(session: ReadSession, month: Month, missed: Tier) -> ServiceCredit:
    assert month.availability is not None
    name = f"{month.month:%Y-%m}"
    was, below = evidence.percent(month.availability), evidence.percent(missed.below_millipercent)
    step: dict[str, Any] = {
        "kind": "sla_credit",
        "month": name,
        "availability_percent": was,
        "below_percent": below,
        "credit_percent": missed.credit_percent,
        "base_minor": month.base_minor,
        "evidence": f"/api/tenants/{session.tenant_id}/sla/{name}",
    }
    texts = {
        "en": f"Service credit {name}: availability {was} %, below {below} %: {missed.credit_percent} %",
        "sl": f"Dobropis za {name}: razpoložljivost {was} %, pod {below} %: {missed.credit_percent} %".replace(
            ".", ","
        ),
    }
    return ServiceCredit(name, month.credit_minor, texts, month.start, month.end, step)
