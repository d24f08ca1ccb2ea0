"""The billing run: finds the tenants that something is due of, and does it for each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.repository import invoices, parties, subscriptions
from omni.domains.billing.service import dunning, issuing, subscribing
from omni.domains.billing.service.profiles import profile_of
from omni.domains.billing.service.sandbox import GRACE
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import Database, SystemSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict

BILL_TENANT = "billing.bill_tenant"

OpenSystemSession = Callable[[], AbstractAsyncContextManager[SystemSession]]


async def find_due(database: Database, open_session: OpenSystemSession, now: datetime) -> int:
    """Enqueues `bill_tenant` for each tenant that something is due of; returns how many, 0 before there is a seller."""
    async with open_session() as session:
        if await parties.find_entity(session, None) is None:
            return 0
        due = set(await subscriptions.tenants_without(session))
        due.update(await subscriptions.due_tenants(session, now))
        due.update(await invoices.tenants_with_drafts(session, now - GRACE))
        due.update(await invoices.tenants_overdue(session, now))
    async with database.shared() as shared:
        for tenant_id in sorted(due):
            await enqueue(shared, BILL_TENANT, tenant_id=tenant_id)
    return len(due)


async def bill_until_now(session: WriteSession, now: datetime) -> Invoice:
    """A final invoice of what was used since the last one. The subscription goes on as it is.

    Raises NotFound `subscription_not_found`, Conflict `nothing_to_bill`.
    """
    subscription = await subscriptions.current(session)
    plan_code = "" if subscription is None else subscription.plan_code
    _, drafted = await subscribing.change_plan(session, plan_code, None, now)
    made = None if drafted is None else await issuing.finalise(session, drafted.invoice_id, now)
    if made is None or made.number is None:
        raise Conflict("nothing_to_bill", "Nothing was used since the last invoice.")
    return made


async def bill_tenant(session: WriteSession, now: datetime) -> None:
    """All that is due of one tenant in real time: a first subscription, closed periods, final invoices, reminders.

    Raises NotConfigured `seller_missing`.
    """
    if (await profile_of(session)).test_clock is not None:
        return
    if not await subscriptions.list_all(session):
        tenant = await tenants.lock_tenant(session)
        await subscribing.start(session, tenant.plan_code, tenant.created_at, trial_days=0)
    await subscribing.close_due(session, now)
    for invoice_id in await invoices.drafts_ending_before(session, now - GRACE):
        await issuing.finalise(session, invoice_id, now)
    await dunning.chase(session, now)
