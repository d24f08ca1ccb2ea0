"""Credit notes for service that was not as good as promised: not a correction of what was charged, but of its price."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from omni.domains.billing.contracts import Charges, Invoice, ServiceCredit
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.repository import subscriptions
from omni.domains.billing.rules.lifecycle import RUNNING
from omni.domains.billing.rules.service_credits import charges_of, credit_lines, share_in
from omni.domains.billing.service import issuing
from omni.foundation.db.sessions import ReadSession, WriteSession


async def plan_at_end(session: ReadSession, start: datetime, end: datetime) -> str | None:
    """The plan that a tenant was on when a time ended, by what its invoices and drafts are for, else by the
    subscription that runs; None without any."""
    bases = await repository.bases_touching(session, start, end)
    parts = [part for basis in bases for part in basis.usage if part.span.start < end and part.span.end > start]
    newest = max(parts, key=lambda part: part.span.start, default=None)
    current = await subscriptions.current(session)
    if current is not None and current.started_at < end and (newest is None or newest.span.end < end):
        return current.plan_code
    return None if newest is None else newest.plan_code


async def charges(session: ReadSession, start: datetime, end: datetime) -> Charges | None:
    """What the live invoices of the tenant charge a time with; None while not all of them are final."""
    found = [each for each in await repository.touching(session, start, end) if each.mode == "live"]
    drafts = (each for each in found if each.status == "draft")
    if any(_is_for(draft, start, end) for draft in drafts):
        return None
    current = await subscriptions.current(session)
    if current is not None and current.status in RUNNING and current.started_at < end and current.billed_until < end:
        return None
    roots = [each for each in found if not issuing.is_correction(each) and each.status in ("final", "paid")]
    ids = {each.invoice_id for each in roots}
    restated = [each for each in found if issuing.restates(each) and each.corrects_id in ids]
    return charges_of(roots[::-1], restated, start, end)


def _is_for(invoice: Invoice, start: datetime, end: datetime) -> bool:
    whole = invoice.period_start < end and invoice.period_end > start
    return whole or any(share_in(line, start, end) for line in invoice.lines)


async def issue(session: WriteSession, found: Charges, credit: ServiceCredit, now: datetime) -> Invoice:
    """A credit note: it lowers what is due of the newest invoice of the time, and what is over goes to the wallet."""
    assert found.invoice_id is not None
    invoice = await issuing.find(session, found.invoice_id, lock=True)
    assert invoice.buyer is not None
    reasons = [
        tax
        for each in {charge.invoice_id for charge in found.charges}
        for tax in (await issuing.find(session, each)).taxes
    ]
    lines = credit_lines(found, credit, invoice.buyer.language)
    cause = f"{issuing.SLA}{credit.cause}"
    return await issuing.correct(session, replace(invoice, taxes=tuple(reasons)), lines, cause, now)


async def credit_notes(session: ReadSession) -> dict[str, Invoice]:
    """Every credit note of this kind, by what it is for."""
    found = await repository.caused_by(session, issuing.SLA)
    return {each.cause.removeprefix(issuing.SLA): each for each in found}
