"""Subscriptions: begun, changed, paused, ended; and their periods closed when they are over.

Whatever ends a span of a period (its end, a change of plan, a pause) drafts one invoice: the usage of the span on the
terms that held in it, fees of the rest of the period back, and fees in advance of what follows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from omni.domains.billing.contracts import Basis, FeePart, Invoice, Span, Subscription, Terms, UsagePart
from omni.domains.billing.repository import subscriptions as repository
from omni.domains.billing.rules.calendar import Period, Schedule
from omni.domains.billing.rules.lifecycle import RUNNING, check_subscription_step
from omni.domains.billing.service.issuing import draft
from omni.domains.billing.service.profiles import profile_of
from omni.domains.billing.service.terms import newest_terms, terms_of
from omni.domains.plans import facade as plans
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import Conflict, NotFound
from omni.kit.ids import uuid7


async def start(
    session: WriteSession, plan_code: str, now: datetime, seats: int = 1, trial_days: int | None = None
) -> Subscription:
    """Puts the tenant on a plan: at once, or after a trial of which nothing is billed.

    `trial_days` is the plan's own when None. Raises Conflict `subscription_exists`.
    """
    profile = await profile_of(session)
    terms = await newest_terms(session, plan_code, profile.currency)
    days = terms.trial_days if trial_days is None else trial_days
    begins = now + timedelta(days=days)
    schedule = Schedule.of(terms.interval, terms.anchor, begins, profile.time_zone)
    first = Period(now, begins) if days else _first_period(schedule, begins)
    made = Subscription(
        uuid7(), plan_code, terms.version, terms.currency, terms.interval, schedule.anchor_day, profile.time_zone,
        seats, "trialing" if days else "active", now, begins if days else None, first.start, first.end, first.start,
    )  # fmt: skip
    if not await repository.insert_subscription(session, made):
        raise Conflict("subscription_exists", "The tenant has a subscription: change its plan, or cancel it first.")
    await tenants.change_plan(session, plan_code)
    await tenants.set_status(session, "active")
    if not days:
        fees = (FeePart(plan_code, terms.version, seats, span_of(now, first.end, made, terms), first=True),)
        await draft(session, made, f"{made.subscription_id}:start", Basis(fees=fees), (now, now))
    return made


def _first_period(schedule: Schedule, begins: datetime) -> Period:
    """From the beginning to the first boundary."""
    return Period(begins, schedule.period_at(begins).end)


def span_of(start: datetime, end: datetime, subscription: Subscription, terms: Terms) -> Span:
    """Of the whole period that it lies in: of calendar periods the calendar's, else from when it began."""
    whole = _schedule(subscription).period_at(start)
    whole_start = whole.start if terms.anchor == "calendar" else max(whole.start, subscription.period_start)
    return Span(start, end, whole_start, whole.end)


def _schedule(subscription: Subscription) -> Schedule:
    return Schedule(subscription.interval, subscription.anchor_day, subscription.time_zone)


async def close_due(session: WriteSession, now: datetime) -> list[Invoice]:
    """Closes every period of the tenant's subscription that is over; the drafts, oldest first."""
    drafts: list[Invoice] = []
    while True:
        found = await repository.current(session, lock=True)
        if found is None or found.status not in (*RUNNING, "trialing") or found.period_end > now:
            return drafts
        made = await _close_period(session, found)
        if made is not None:
            drafts.append(made)


async def _close_period(session: WriteSession, before: Subscription) -> Invoice | None:
    end = before.period_end
    if before.cancel_at_period_end:
        after = replace(before, status="cancelled", billed_until=end, ended_at=end)
        await tenants.set_status(session, "suspended")
        return await _bill(session, before, after, end, fees=())
    after = await _following(session, before, end)
    if before.next_plan_code is not None:
        await tenants.change_plan(session, after.plan_code)
    return await _bill(session, before, after, end, fees=(await _first_fees(session, before, after),))


async def next_fees(session: ReadSession, subscription: Subscription) -> FeePart:
    """The fees in advance that are due with the end of the running period, on the next plan where it has one."""
    return await _first_fees(session, subscription, await _following(session, subscription, subscription.period_end))


async def _first_fees(session: ReadSession, before: Subscription, after: Subscription) -> FeePart:
    """The fees of the whole period that `after` begins."""
    terms = await _agreed(session, after)
    return FeePart(
        after.plan_code, after.plan_version, after.seats,
        span_of(after.period_start, after.period_end, after, terms),
        first=before.status == "trialing" or after.plan_code != before.plan_code,
    )  # fmt: skip


async def _following(session: ReadSession, before: Subscription, at: datetime) -> Subscription:
    """The subscription in its next period, on its next plan where it has one."""
    status = "active" if before.status == "trialing" else before.status
    if before.next_plan_code is None:
        period = _schedule(before).period_at(at)
        return replace(before, status=status, period_start=at, period_end=period.end, billed_until=at)
    after = await _on_plan(session, before, before.next_plan_code, at)
    return replace(after, status=status, next_plan_code=None)


async def _on_plan(session: ReadSession, before: Subscription, plan_code: str, at: datetime) -> Subscription:
    """The subscription on another plan from an instant on, in a period that begins there."""
    terms = await newest_terms(session, plan_code, before.currency)
    schedule = Schedule.of(terms.interval, terms.anchor, at, before.time_zone)
    return replace(
        before, plan_code=plan_code, plan_version=terms.version, interval=terms.interval,
        anchor_day=schedule.anchor_day, period_start=at, period_end=schedule.period_at(at).end, billed_until=at,
    )  # fmt: skip


async def _agreed(session: ReadSession, subscription: Subscription) -> Terms:
    return await terms_of(session, subscription.plan_code, subscription.plan_version, subscription.currency)


async def _bill(
    session: WriteSession, before: Subscription, after: Subscription, at: datetime, fees: tuple[FeePart, ...]
) -> Invoice | None:
    """Saves the subscription as it is from `at` on, and drafts what its last span comes to with these fees."""
    usage: tuple[UsagePart, ...] = ()
    if before.status in RUNNING and before.billed_until < at:
        span = span_of(before.billed_until, at, before, await _agreed(session, before))
        usage = (UsagePart(before.plan_code, before.plan_version, before.seats, span),)
    await repository.save(session, after)
    cause = f"{before.subscription_id}:{at.isoformat()}"
    return await draft(session, after, cause, Basis(usage, fees), (before.billed_until, at))


async def _credit(session: ReadSession, before: Subscription, at: datetime) -> FeePart:
    """The fees in advance of what is left of the period, back."""
    span = span_of(at, before.period_end, before, await _agreed(session, before))
    return FeePart(before.plan_code, before.plan_version, before.seats, span, credit=True)


async def change_plan(
    session: WriteSession, plan_code: str, seats: int | None, now: datetime
) -> tuple[Subscription, Invoice | None]:
    """Another plan, or another number of seats, at once: what is left of the old fees comes back to the microsecond.

    Raises NotFound `subscription_not_found`, Conflict `subscription_state`, Unprocessable `unknown_plan`.
    """
    before = await _running(session)
    await tenants.change_plan(session, plan_code)
    if before.status == "trialing":
        after = await _on_plan(session, before, plan_code, now)
        after = replace(
            after, seats=seats or before.seats, period_start=before.period_start, period_end=before.period_end,
            billed_until=before.billed_until,
        )  # fmt: skip
        await repository.save(session, after)
        return after, None
    terms = await newest_terms(session, plan_code, before.currency)
    agreed = await _agreed(session, before)
    if (terms.interval, terms.anchor) == (agreed.interval, agreed.anchor):
        after = replace(before, plan_code=plan_code, plan_version=terms.version, billed_until=now)
    else:
        after = await _on_plan(session, before, plan_code, now)
    after = replace(after, seats=before.seats if seats is None else seats, next_plan_code=None)
    span = span_of(now, after.period_end, after, terms)
    fee = FeePart(plan_code, terms.version, after.seats, span, first=plan_code != before.plan_code)
    return after, await _bill(session, before, after, now, fees=(await _credit(session, before, now), fee))


async def change_plan_at_period_end(session: WriteSession, plan_code: str) -> Subscription:
    """Another plan from the next period on. Raises as `change_plan`."""
    before = await _running(session)
    await plans.require_plan(session, plan_code, public_only=False)
    after = replace(before, next_plan_code=plan_code, cancel_at_period_end=False)
    await repository.save(session, after)
    return after


async def cancel(session: WriteSession, now: datetime, *, at_once: bool) -> tuple[Subscription, Invoice | None]:
    """Ends the subscription with its period, or at once with what is left of the fees back; keys stop with it.

    Raises as `change_plan`.
    """
    before = await _current(session)
    if not at_once and before.status in (*RUNNING, "trialing"):
        after = replace(before, cancel_at_period_end=True, next_plan_code=None)
        await repository.save(session, after)
        return after, None
    check_subscription_step(before.status, "cancelled")
    fees = (await _credit(session, before, now),) if before.status in RUNNING else ()
    billed_until = now if before.status in RUNNING else before.billed_until
    after = replace(before, status="cancelled", billed_until=billed_until, ended_at=now)
    await tenants.set_status(session, "suspended")
    return after, await _bill(session, before, after, now, fees=fees)


async def pause(session: WriteSession, now: datetime) -> tuple[Subscription, Invoice | None]:
    """Stops use and billing; what is left of the fees comes back. Raises as `change_plan`."""
    before = await _current(session)
    check_subscription_step(before.status, "paused")
    await tenants.set_status(session, "suspended")
    fees = (await _credit(session, before, now),) if before.status in RUNNING else ()
    after = replace(before, status="paused", billed_until=now)
    return after, await _bill(session, before, after, now, fees=fees)


async def resume(session: WriteSession, now: datetime) -> tuple[Subscription, Invoice | None]:
    """Use and billing go on after a pause, in a period that begins now. Raises as `change_plan`."""
    before = await _current(session)
    if before.status != "paused":
        raise Conflict("subscription_state", f"The subscription is {before.status}, not paused.")
    await tenants.set_status(session, "active")
    terms = await _agreed(session, before)
    schedule = Schedule.of(terms.interval, terms.anchor, now, before.time_zone)
    after = replace(
        before, status="active", anchor_day=schedule.anchor_day, period_start=now,
        period_end=schedule.period_at(now).end, billed_until=now, trial_ends_at=None,
    )  # fmt: skip
    fee = FeePart(
        after.plan_code, after.plan_version, after.seats, span_of(now, after.period_end, after, terms),
        first=before.trial_ends_at is not None and before.trial_ends_at > before.billed_until,
    )  # fmt: skip
    return after, await _bill(session, before, after, now, fees=(fee,))


async def _current(session: WriteSession) -> Subscription:
    found = await repository.current(session, lock=True)
    if found is None:
        raise NotFound("subscription_not_found", "The tenant has no subscription that runs.")
    return found


async def _running(session: WriteSession) -> Subscription:
    found = await _current(session)
    if found.status not in (*RUNNING, "trialing"):
        raise Conflict("subscription_state", f"The subscription is {found.status}: its plan cannot be changed now.")
    return found
