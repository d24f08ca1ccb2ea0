"""What is not invoiced yet: the running period as far as it is known now. Nothing is written."""

from __future__ import annotations

from datetime import datetime

from omni.domains.billing.contracts import Basis, FeePart, Invoice, Subscription, UsagePart
from omni.domains.billing.repository import subscriptions
from omni.domains.billing.rules.lifecycle import RUNNING
from omni.domains.billing.service import issuing
from omni.domains.billing.service.profiles import profile_of
from omni.domains.billing.service.subscribing import next_fees, span_of
from omni.domains.billing.service.terms import terms_of
from omni.foundation.db.sessions import ReadSession
from omni.kit.errors import NotFound
from omni.kit.ids import uuid7


async def upcoming_invoice(session: ReadSession, now: datetime) -> Invoice:
    """The invoice that closes the running period, if that ended now: usage so far, the share that is over of fees in
    arrears and of the minimum commitment, the next period's fees in advance, discounts and taxes. It is not stored.

    Raises NotFound `subscription_not_found`, NotConfigured `seller_missing`.
    """
    subscription = await subscriptions.current(session)
    if subscription is None:
        raise NotFound("subscription_not_found", "The tenant has no subscription that runs.")
    profile = await profile_of(session)
    until = max(subscription.billed_until, min(now, subscription.period_end))
    used = await running_usage(session, subscription, until)
    fees: tuple[FeePart, ...] = ()
    if subscription.status in (*RUNNING, "trialing") and not subscription.cancel_at_period_end:
        fees = (await next_fees(session, subscription),)
    invoice = Invoice(
        uuid7(), "upcoming", "invoice", "draft", profile.mode, profile.entity_code, None, subscription.currency,
        subscription.subscription_id, None, subscription.billed_until, until, Basis(used, fees),
    )  # fmt: skip
    return await issuing.rated(session, invoice, profile, now)


async def running_usage(session: ReadSession, subscription: Subscription, until: datetime) -> tuple[UsagePart, ...]:
    """What is used and not on an invoice yet; nothing while nothing is billed."""
    if subscription.status not in RUNNING or until <= subscription.billed_until:
        return ()
    plan = subscription.plan_code, subscription.plan_version
    terms = await terms_of(session, *plan, subscription.currency)
    span = span_of(subscription.billed_until, until, subscription, terms)
    return (UsagePart(*plan, subscription.seats, span),)
