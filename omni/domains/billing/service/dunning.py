"""What follows when an invoice is not paid in time: reminders, then the end of service until it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.repository import invoices, subscriptions
from omni.domains.billing.rules.dunning import REMIND_AFTER, SUSPEND_AFTER, reminders_due
from omni.domains.billing.service.issuing import COLLECT
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import WriteSession
from omni.foundation.outbox.messages import enqueue

SEND_REMINDER = "billing.send_reminder"


async def chase(session: WriteSession, now: datetime) -> None:
    """Enqueues the reminders that are due; past due and suspended are states of the tenant's subscription."""
    overdue = await invoices.overdue(session, now)
    late = max((now - invoice.due_at for invoice in overdue if invoice.due_at is not None), default=timedelta(0))
    await _follow(session, late)
    for invoice in overdue:
        assert invoice.due_at is not None
        due = reminders_due(now - invoice.due_at)
        if due > invoice.reminders:  # one mail, however long nobody looked
            await enqueue(
                session, SEND_REMINDER, tenant_id=session.tenant_id, invoice_id=invoice.invoice_id, number=due,
                last=due == len(REMIND_AFTER),
            )  # fmt: skip
            await enqueue(session, COLLECT, tenant_id=session.tenant_id, invoice_id=invoice.invoice_id)
            await invoices.save(session, replace(invoice, reminders=due))


async def _follow(session: WriteSession, late: timedelta) -> None:
    found = await subscriptions.current(session, lock=True)
    if found is None:
        return
    if not late and found.status in ("past_due", "suspended"):
        if found.status == "suspended":
            await tenants.set_status(session, "active")
        await subscriptions.save(session, replace(found, status="active"))
    elif late >= SUSPEND_AFTER and found.status in ("active", "past_due"):
        await tenants.set_status(session, "suspended")
        await subscriptions.save(session, replace(found, status="suspended"))
    elif late and found.status == "active":
        await subscriptions.save(session, replace(found, status="past_due"))


async def after_payment(session: WriteSession, paid: Invoice, now: datetime) -> None:
    """Service goes on as soon as nothing is overdue."""
    if paid.status == "paid":
        await chase(session, now)
