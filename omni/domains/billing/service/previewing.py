"""What is not invoiced yet: the running period as far as it is known now. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from omni.domains.billing.contracts import Basis, BillingProfile, FeePart, Invoice, Subscription, UsagePart
from omni.domains.billing.repository import subscriptions
from omni.domains.billing.rules.calendar import Schedule
from omni.domains.billing.rules.lifecycle import RUNNING
from omni.domains.billing.rules.taxing import summed
from omni.domains.billing.service import issuing
from omni.domains.billing.service.profiles import buyer_of
from omni.domains.billing.service.rating import lines_of
from omni.domains.billing.service.subscribing import next_fees, span_of
from omni.domains.billing.service.terms import newest_terms, terms_of
from omni.domains.metering import facade as metering
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import ReadSession
from omni.kit.errors import NotFound
from omni.kit.ids import uuid7


@dataclass(frozen=True, slots=True)
class Upcoming:
    """An invoice that is not stored; without a seller it is without tax, without a subscription without its id."""

    invoice: Invoice
    unpriced: tuple[str, ...]
    """The platform's meters that were used and that are in no line, since no price is for them."""


async def upcoming_invoice(session: ReadSession, clock_now: datetime) -> Upcoming:
    """The invoice that closes the running period, if that ended now: usage so far, the share that is over of fees in
    arrears and of the minimum commitment, the next period's fees in advance, discounts and taxes.

    `clock_now` is the real time; a sandbox tenant has its own. A tenant that never had a subscription is shown what the
    billing run will make of it. Raises NotFound `subscription_not_found`.
    """
    profile = await buyer_of(session)
    now = profile.test_clock or clock_now
    known = await subscriptions.current(session)
    running = known or await _to_be_begun(session, profile, now)
    until = max(running.billed_until, min(now, running.period_end))
    used = await running_usage(session, running, until)
    fees: tuple[FeePart, ...] = ()
    if running.status in (*RUNNING, "trialing") and not running.cancel_at_period_end:
        fees = (await next_fees(session, running),)
    invoice = Invoice(
        uuid7(), "upcoming", "invoice", "draft", profile.mode, profile.entity_code, None, running.currency,
        known.subscription_id if known else None, None, running.billed_until, until, Basis(used, fees),
    )  # fmt: skip
    invoice = await _rated(session, invoice, profile, now)
    return Upcoming(invoice, await _unpriced(session, invoice))


async def running_usage(session: ReadSession, subscription: Subscription, until: datetime) -> tuple[UsagePart, ...]:
    """What is used and not on an invoice yet; nothing while nothing is billed."""
    if subscription.status not in RUNNING or until <= subscription.billed_until:
        return ()
    plan = subscription.plan_code, subscription.plan_version
    terms = await terms_of(session, *plan, subscription.currency)
    span = span_of(subscription.billed_until, until, subscription, terms)
    return (UsagePart(*plan, subscription.seats, span),)


async def _to_be_begun(session: ReadSession, profile: BillingProfile, now: datetime) -> Subscription:
    """What the billing run begins for a tenant that never had a subscription, since sign-up, in its running period."""
    if profile.test_clock is not None or await subscriptions.list_all(session):
        raise NotFound("subscription_not_found", "The tenant has no subscription that runs.")
    tenant = await tenants.get_tenant(session)
    terms = await newest_terms(session, tenant.plan_code, profile.currency)
    schedule = Schedule.of(terms.interval, terms.anchor, tenant.created_at, profile.time_zone)
    whole = schedule.period_at(now)
    start = max(whole.start, tenant.created_at)
    return Subscription(
        uuid7(), tenant.plan_code, terms.version, terms.currency, terms.interval, schedule.anchor_day,
        profile.time_zone, 1, "active", tenant.created_at, None, start, whole.end, start,
    )  # fmt: skip


async def _rated(session: ReadSession, invoice: Invoice, profile: BillingProfile, now: datetime) -> Invoice:
    if profile.entity_code:
        return await issuing.rated(session, invoice, profile, now)
    parts = await lines_of(session, invoice.basis, invoice.currency, invoice.mode)
    return summed(invoice, tuple(line for line, _ in parts), {})


async def _unpriced(session: ReadSession, invoice: Invoice) -> tuple[str, ...]:
    counted, used = {line.meter for line in invoice.lines}, set[str]()
    for part in invoice.basis.usage:
        totals = await metering.request_totals(session, part.span.start, part.span.end, invoice.mode)
        used |= {meter for meter, total in totals.items() if total.events}
    return tuple(sorted(used - counted))
